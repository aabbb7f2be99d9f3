"""Pack rows into lines instead of padding them: the same loss with less padding, for rows without media.

Each row's positions restart at 0, and there is no attention mask: transformers infers the row boundaries from the
positions and restricts attention to each row (a block-diagonal mask for SDPA, cumulative lengths for flash attention).
Rows with media stay padded: their positions are three-dimensional, and the model computes them from one row per line.
"""

from collections.abc import Sequence

import torch

from guardapp.guard.engines.hf.encoding import Encoded

# on a CPU, lines of 2,048 tokens cost more in masked attention than padding does (docs/training.md)
LINE_TOKENS = 512
POSITION_AXES = 4  # text, time, height, width: all equal for text


def can_be_packed(rows: Sequence[Encoded]) -> bool:
    return not any(row.pixels for row in rows)


def lines_of(lengths: Sequence[int], line_tokens: int) -> list[list[int]]:
    """First-fit packing: return the row indices of each line.

    A line holds at most `line_tokens` tokens, or one longer row alone.
    """
    lines: list[list[int]] = []
    room: list[int] = []
    for index, length in enumerate(lengths):
        found = next((number for number, free in enumerate(room) if free >= length), None)
        if found is None:
            lines.append([])
            room.append(max(line_tokens, length))
            found = len(lines) - 1
        lines[found].append(index)
        room[found] -= length
    return lines


def pack(
    rows: Sequence[Encoded], weights: Sequence[torch.Tensor], *, line_tokens: int, pad_token_id: int
) -> dict[str, torch.Tensor]:
    """Return `input_ids` and `loss_weights` of shape (lines, tokens) and `position_ids` of shape (4, lines, tokens).

    `weights[i]` belong to row i; the first is 0, so that no row is trained to predict the start of the next. Padding
    tokens have position 0 and weight 0, which makes each a row of its own. A line is as long as the longest row, or
    `line_tokens`.
    """
    lengths = [len(row) for row in rows]
    lines = lines_of(lengths, max(line_tokens, *lengths))
    width = max(sum(len(rows[index]) for index in line) for line in lines)
    input_ids = torch.full((len(lines), width), pad_token_id, dtype=torch.long)
    positions = torch.zeros((len(lines), width), dtype=torch.long)
    loss_weights = torch.zeros((len(lines), width), dtype=torch.float32)
    for number, line in enumerate(lines):
        start = 0
        for index in line:
            here = slice(start, start + len(rows[index]))
            input_ids[number, here] = rows[index].input_ids
            positions[number, here] = torch.arange(len(rows[index]))
            loss_weights[number, here] = weights[index]
            start = here.stop
    return {
        "input_ids": input_ids,
        "position_ids": positions.expand(POSITION_AXES, -1, -1).contiguous(),
        "loss_weights": loss_weights,
    }
