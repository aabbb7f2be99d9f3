"""The terms of GRPO's objective: log-probabilities of completions, and the clipped policy loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from guardapp.guard.engines.hf.encoding import Encoded, collate
from guardapp.guard.rl.clip_range import ClipRange
from training.learning.fillers import missing_media


@dataclass(frozen=True, slots=True)
class Logps:
    """Values per completion token, of shape (rows, longest completion); 0 beyond a completion's end.

    Natural logarithms.
    """

    logps: torch.Tensor
    entropies: torch.Tensor


def completion_logps(
    model: Any,
    rows: Sequence[Encoded],
    *,
    pad_token_id: int,
    temperature: float,
    device: torch.device,
    fused: bool,
    fillers: tuple[Encoded, ...] = (),
) -> Logps:
    """Run one forward pass over prompts with their completions; a batch may mix text, image and video rows.

    `fused` uses TRL's chunked head, which never holds all logits and suits large vocabularies. Otherwise only positions
    that predict a completion token are projected, which is less work on a CPU. `fillers` join a batch that lacks their
    kind of media, and are removed from the result.
    """
    count, rows = len(rows), [*rows, *missing_media(list(rows), fillers)]
    batch = {key: tensor.to(device) for key, tensor in collate(rows, pad_token_id=pad_token_id, side="right").items()}
    ids, places = batch["input_ids"], torch.arange(batch["input_ids"].shape[1], device=device)
    starts = torch.tensor([row.prompt_tokens for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device) - starts
    if fused:
        wanted = (places >= starts[:, None]) & (places < (starts + lengths)[:, None])
        outputs = model(**batch, labels=ids.masked_fill(~wanted, -100), fused_lm_head=True)
        first, logps, entropies = 1, outputs.log_probs, outputs.entropy
    else:
        first = int(starts.min())
        logits = model(**batch, use_cache=False, logits_to_keep=places[first - 1 : -1]).logits.float() / temperature
        logps, entropies = _of_targets(logits, ids[:, first:])
    columns = torch.arange(int(lengths.max()), device=device)
    present = columns < lengths[:, None]
    taken = (columns + starts[:, None] - first).masked_fill(~present, 0)
    return Logps(
        logps.gather(1, taken).masked_fill(~present, 0.0)[:count],
        entropies.gather(1, taken).masked_fill(~present, 0.0)[:count],
    )


def _of_targets(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`logits` (rows, positions, vocabulary), `targets` (rows, positions); the entropies carry no gradient."""
    logps = logits.log_softmax(dim=-1)
    with torch.no_grad():
        entropies = -(logps.exp() * logps).sum(dim=-1)
    return logps.gather(2, targets[..., None]).squeeze(2), entropies


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """Values per token, shaped like the log-probabilities. `clipped` marks tokens outside the clip range."""

    loss: torch.Tensor
    clipped: torch.Tensor


def clipped_policy_loss(
    logps: torch.Tensor, old_logps: torch.Tensor, advantages: torch.Tensor, clip: ClipRange
) -> PolicyLoss:
    """PPO's objective as a loss: -min(K·A, clip(K)·A), K = exp(logp - old logp); no KL term.

    `advantages` has shape (rows,). The VL paper prints min(K, clip K)·A, most likely a typo: it would not clip for A <
    0.
    """
    ratio, advantage = (logps - old_logps).exp(), advantages[:, None]
    held = ratio.clamp(1 - clip.low, 1 + clip.high)
    clipped = ((ratio < 1 - clip.low) & (advantage < 0)) | ((ratio > 1 + clip.high) & (advantage > 0))
    return PolicyLoss(-torch.min(ratio * advantage, held * advantage), clipped)


def row_weights(completion_tokens: torch.Tensor, kept: torch.Tensor, *, token_mean: bool, total: float) -> torch.Tensor:
    """The weight of each row's tokens in an update's loss, shape (rows,); rows that are not kept weigh 0.

    `total` is the number of kept completion tokens of the update (token mean) or of kept rows (sequence mean).
    """
    weights = (
        torch.ones_like(completion_tokens, dtype=torch.float32) if token_mean else 1 / completion_tokens.clamp(min=1)
    )
    return weights.masked_fill(~kept, 0.0) / max(total, 1.0)
