"""Continuous batching of greedy completions: new rows join a running batch, so that none waits for a slow neighbour.

Prompts are prefilled without padding: those of several new rows are concatenated into one long row, with a mask that
separates them. Their common opening, mainly the instruction, is prefilled once and reused. Then each row has its own
slot and gets one token per step until it ends and frees the slot.

The continuous batching of transformers does not support images. The completions equal those of its `generate` within
rounding, which a test checks. The rope positions of images are a private part of the models, so transformers is pinned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import DynamicCache

from guardapp.guard.engines.hf.cache_slots import Slots
from guardapp.guard.engines.hf.encoding import Encoded

READ_TOGETHER = 1_024  # tokens; a longer prompt is prefilled alone
# tokens of a long prompt prefilled at once, so that other rows wait only briefly
PIECE, PIECE_ON_CUDA = 256, 2_048

# keys and values of one layer, (heads, tokens, head width)
LayerStates = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Opening:
    """The common opening of many prompts: its token ids, shape (tokens,), and their keys and values."""

    input_ids: torch.Tensor
    states: Sequence[LayerStates]

    def shared_with(self, input_ids: torch.Tensor) -> int:
        """How many tokens need no prefill. At least one is left, since its successor is predicted."""
        most = min(len(self.input_ids), len(input_ids) - 1)
        differ = (self.input_ids[:most] != input_ids[:most]).nonzero()
        return int(differ[0]) if len(differ) else most

    def until(self, tokens: int) -> list[LayerStates]:
        return [(keys[:, :tokens], values[:, :tokens]) for keys, values in self.states]


@dataclass(slots=True, eq=False)
class Row:
    """One completion. `watched` holds the logits of the watched tokens at each step.

    `length` counts tokens in the slot.
    """

    number: int
    prompt: Encoded
    max_new_tokens: int
    written: list[int] = field(default_factory=list)
    watched: list[torch.Tensor] = field(default_factory=list)
    length: int = 0
    # the rope position of the next token minus `length`: images take fewer positions than tokens
    offset: int = 0


@dataclass(slots=True, eq=False)
class Reading:
    """A long prompt that is being prefilled piece by piece. `done` counts its tokens so far."""

    row: Row
    positions: torch.Tensor
    cache: DynamicCache = field(default_factory=DynamicCache)
    done: int = 0


class Running:
    """The running rows. Tokens in `end_ids` end a completion; logits of `watched` are kept. Not thread-safe."""

    def __init__(self, model: Any, *, end_ids: Sequence[int], watched: torch.Tensor, opening: Opening) -> None:
        self.model = model
        self.device = model.device
        self.end_ids = frozenset(end_ids)
        self.watched = watched.to(self.device)
        self.opening = opening
        self.rows: list[Row] = []
        self._slots = Slots()

    def tokens_with(self, newcomers: Sequence[Row]) -> int:
        """The cache capacity in tokens after these rows have joined."""
        return self._slots.held_with(len(self.rows) + len(newcomers), max(len(row.prompt) for row in newcomers) + 1)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def join(self, newcomers: Sequence[Row]) -> list[Row]:
        """Prefill the prompts and generate the first token of each. Return the rows that end with it."""
        for together in _read_together(newcomers):
            self._read(together)
        return self._take_ended()

    def begin_reading(self, row: Row) -> Reading:
        return Reading(row, _positions(self.model, row.prompt))

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def read_on(self, reading: Reading) -> list[Row] | None:
        """Prefill the next piece of a long prompt. None while more is left; then as `join`. Media are not divided."""
        row, start = reading.row, reading.done
        piece = PIECE if self.device.type == "cpu" else PIECE_ON_CUDA
        end = len(row.prompt) if row.prompt.pixels else min(len(row.prompt), start + piece)
        output = self.model(
            input_ids=row.prompt.input_ids[None, start:end].to(self.device),
            position_ids=reading.positions[:, :, start:end].to(self.device),
            past_key_values=reading.cache,
            use_cache=True,
            logits_to_keep=1,
            **self._pixels([row]),
        )
        reading.done = end
        if end < len(row.prompt):
            return None
        self._slots.fill(len(self.rows), [[(layer.keys[0], layer.values[0]) for layer in reading.cache.layers]])
        row.length, row.offset = end, int(reading.positions.max()) + 1 - end
        self.rows.append(row)
        self._write([row], output.logits[0])
        return self._take_ended()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def drop(self, number: int) -> None:
        """End a row that nobody waits for any more; its slot is free again."""
        for slot, row in enumerate(self.rows):
            if row.number == number:
                self._free(slot)
                break

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> list[Row]:
        """Generate one token per row. Return the rows that end with it; their slots are free again."""
        if not self.rows:
            return []
        lengths = self._tensor([row.length for row in self.rows])
        width = max(row.length for row in self.rows) + 1
        self._slots.begin_step(lengths, width)
        positions = lengths + self._tensor([row.offset for row in self.rows])
        output = self.model(
            input_ids=self._tensor([row.written[-1:] for row in self.rows]),
            position_ids=positions[:, None].expand(3, -1, 1),
            attention_mask=(torch.arange(width, device=self.device) <= lengths[:, None])[:, None, None],
            past_key_values=self._slots,
            use_cache=True,
        )
        for row in self.rows:
            row.length += 1
        self._write(self.rows, output.logits[:, -1])
        return self._take_ended()

    def _take_ended(self) -> list[Row]:
        ended = []
        for slot in reversed(range(len(self.rows))):
            row = self.rows[slot]
            if row.written[-1] in self.end_ids or len(row.written) >= row.max_new_tokens:
                ended.append(row)
                self._free(slot)
        return ended

    def _free(self, slot: int) -> None:
        last = self.rows.pop()
        if slot < len(self.rows):
            self.rows[slot] = last
            self._slots.move(len(self.rows), slot, last.length)
        if not self.rows:
            # release the memory that the longest row needed
            self._slots = Slots()

    def _read(self, rows: Sequence[Row]) -> None:
        known = [0] if _alone(rows) else [self.opening.shared_with(row.prompt.input_ids) for row in rows]
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.opening.until(max(known)) if max(known) else ()):
            cache.update(keys[None], values[None], layer)
        positions = [_positions(self.model, row.prompt) for row in rows]
        lengths = [len(row.prompt) - shared for row, shared in zip(rows, known, strict=True)]
        ends = torch.tensor(lengths).cumsum(0)
        output = self.model(
            input_ids=torch.cat([row.prompt.input_ids[shared:] for row, shared in zip(rows, known, strict=True)])[
                None
            ].to(self.device),
            position_ids=torch.cat(
                [one[:, :, shared:] for one, shared in zip(positions, known, strict=True)], dim=2
            ).to(self.device),
            attention_mask=None if _alone(rows) else _each_to_itself(lengths, known).to(self.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=(ends - 1).to(self.device),
            **self._pixels(rows),
        )
        at = max(known)
        for row, position, shared, length in zip(rows, positions, known, lengths, strict=True):
            read = [
                (layer.keys[0, :, at : at + length], layer.values[0, :, at : at + length]) for layer in cache.layers
            ]
            self._slots.fill(len(self.rows), [self.opening.until(shared), read] if shared else [read])
            row.length, row.offset = len(row.prompt), int(position.max()) + 1 - len(row.prompt)
            self.rows.append(row)
            at += length
        self._write(rows, output.logits[0])

    def _write(self, rows: Sequence[Row], logits: torch.Tensor) -> None:
        tokens = logits.argmax(dim=-1).tolist()
        watched = logits[:, self.watched].float().cpu()
        for row, token, values in zip(rows, tokens, watched, strict=True):
            row.written.append(token)
            row.watched.append(values)

    def _pixels(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        names = dict.fromkeys(name for row in rows for name in row.prompt.pixels)
        return {
            name: torch.cat([row.prompt.pixels[name] for row in rows if name in row.prompt.pixels]).to(self.device)
            for name in names
        }

    def _tensor(self, values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def read_opening(model: Any, input_ids: torch.Tensor) -> Opening:
    """Prefill an opening. `input_ids` is plain text, shape (tokens,)."""
    if not len(input_ids):
        return Opening(input_ids, ())
    cache = DynamicCache()
    positions = torch.arange(len(input_ids), device=model.device).expand(3, 1, -1)
    model(
        input_ids=input_ids[None].to(model.device),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return Opening(input_ids, [(layer.keys[0], layer.values[0]) for layer in cache.layers])


def _read_together(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Group rows in order, with at most READ_TOGETHER tokens per group unless a single row has more."""
    together: list[Row] = []
    tokens = 0
    for row in rows:
        if together and tokens + len(row.prompt) > READ_TOGETHER:
            yield together
            together, tokens = [], 0
        together.append(row)
        tokens += len(row.prompt)
    if together:
        yield together


def _alone(rows: Sequence[Row]) -> bool:
    """Whether this is one long prompt: the model's own causal mask serves it and takes no memory."""
    return len(rows) == 1 and len(rows[0].prompt) > READ_TOGETHER


def _each_to_itself(lengths: Sequence[int], known: Sequence[int]) -> torch.Tensor:
    """The attention mask, (1, 1, tokens, opening + tokens).

    Each token sees `known` tokens of the opening, and the preceding tokens of its own row.
    """
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    own = (owner[:, None] == owner).tril()
    opening = torch.arange(max(known)) < torch.tensor(known)[owner][:, None]
    return torch.cat([opening, own], dim=1)[None, None]


def _positions(model: Any, prompt: Encoded) -> torch.Tensor:
    """Rope positions, shape (3, 1, tokens)."""
    if not prompt.pixels:
        return torch.arange(len(prompt)).expand(3, 1, -1)
    grids = {name: values for name, values in prompt.pixels.items() if not name.startswith("pixel_values")}
    positions: torch.Tensor = model.model.get_rope_index(
        prompt.input_ids[None], mm_token_type_ids=prompt.media_types[None], **grids
    )[0]
    return positions
