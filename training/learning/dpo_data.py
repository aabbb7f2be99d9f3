"""Mined rows and preference rows → encoded pairs of a right and a wrong completion, in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch

from guardapp.guard.engines.hf.encoding import Encoded, collate, completion_ids, encode, followed_by
from guardapp.guard.rl.mining import hard_sample_weights
from training.contract import DpoConfig
from training.learning.encodings import Encodings
from training.learning.heartbeat import Heartbeat
from training.learning.rows import NAMED, Row, by_id, read_rows


class NoPairs(ValueError):
    """The dataset has no train row with a right and a wrong completion within the cutoff.

    The message gives the counts.
    """


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one row: `chosen` is right and `rejected` wrong."""

    row: Row
    chosen: str
    rejected: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs, and `unpaired`: the number of train rows without a right and a wrong completion."""

    pairs: list[Pair]
    unpaired: int


def read_pairs(config: DpoConfig) -> Pairs:
    """Read one pair per train row: "chosen" and "rejected", or a right and a wrong one of "rollouts", drawn by seed.

    Raises RowNotReadable or RowsShareAnId.
    """
    read = read_rows(Path(config.dataset), Path(config.media_root), split="train")
    rows = by_id(read, config.dataset).values()
    found: list[tuple[Row, str, str]] = []
    differences: list[int | None] = []
    for row in rows:
        rollouts = row.extra.get("rollouts") or ()
        right = [rollout["completion"] for rollout in rollouts if rollout["right"]]
        wrong = [rollout["completion"] for rollout in rollouts if not rollout["right"]]
        if row.extra.get("chosen") and row.extra.get("rejected"):
            found.append((row, row.extra["chosen"], row.extra["rejected"]))
            differences.append(None)
        elif right and wrong:
            random = Random(f"{config.seed}-{row.sample.id}")
            found.append((row, random.choice(right), random.choice(wrong)))
            differences.append(len(wrong) - len(right))
    weights = hard_sample_weights(differences, config.weight_spread)
    return Pairs([Pair(*pair, weight) for pair, weight in zip(found, weights, strict=True)], len(rows) - len(found))


@dataclass
class EncodedPairs:
    """The pairs that fit the cutoff.

    `lengths[i]` counts the tokens of the longer side. Prompts are encoded lazily, with a bounded cache.
    """

    processor: Any
    pairs: list[Pair]
    lengths: list[int] = field(default_factory=list)
    dropped: int = 0
    dropped_ids: list[str] = field(default_factory=list)  # the first ones
    # log-probabilities of chosen and rejected
    reference: list[tuple[float, float]] = field(default_factory=list)
    _encodings: Encodings = field(default_factory=Encodings)

    @classmethod
    def measure(cls, processor: Any, read: Pairs, cutoff_tokens: int, heartbeat: Heartbeat) -> "EncodedPairs":
        """Encode every prompt once. Pairs with a side over the cutoff are dropped, counted and named, never truncated.

        Raises NoPairs or JobCancelled.
        """
        result = cls(processor, [])
        for pair in heartbeat.each("encoding", read.pairs):
            prompt = encode(processor, pair.row.sample)
            length = len(prompt) + max(len(completion_ids(processor, text)) for text in (pair.chosen, pair.rejected))
            if length > cutoff_tokens:
                result.dropped += 1
                result.dropped_ids += [pair.row.sample.id] if len(result.dropped_ids) < NAMED else []
                continue
            result._encodings.remember(len(result.pairs), prompt)
            result.pairs.append(pair)
            result.lengths.append(length)
        if not result.pairs:
            raise NoPairs(
                f"{read.unpaired} train rows lack a right and a wrong completion, {result.dropped} pairs "
                "are longer than "
                f"{cutoff_tokens} tokens."
            )
        return result

    def __len__(self) -> int:
        return len(self.pairs)

    def sides(self, index: int) -> tuple[Encoded, Encoded]:
        """Return the encoded chosen and rejected side."""
        pair = self.pairs[index]
        prompt = self._encodings.kept.get(index) or encode(self.processor, pair.row.sample)
        chosen, rejected = (
            followed_by(prompt, completion_ids(self.processor, text)) for text in (pair.chosen, pair.rejected)
        )
        return chosen, rejected


@dataclass(frozen=True, slots=True)
class PairCollator:
    """Dataset rows {"index"} → a right-padded batch: the chosen sides of all pairs, then the rejected sides.

    Besides the model's inputs, it holds `completion_mask` (2·pairs, tokens), `pair_weights` (pairs,), `reference` (2,
    pairs) if available, and `loss_weights` (pairs,), since each pair is one item of the optimizer step's mean.
    """

    rows: EncodedPairs
    pad_token_id: int
    line_tokens: int = 0  # pairs are never packed

    def __call__(self, picked: Sequence[dict[str, int]]) -> dict[str, torch.Tensor]:
        indices = [row["index"] for row in picked]
        sides = [self.rows.sides(index) for index in indices]
        encoded = [chosen for chosen, _ in sides] + [rejected for _, rejected in sides]
        batch = collate(encoded, pad_token_id=self.pad_token_id, side="right")
        batch["completion_mask"] = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
        for line, one in zip(batch["completion_mask"], encoded, strict=True):
            line[one.prompt_tokens : len(one)] = True
        batch["pair_weights"] = torch.tensor([self.rows.pairs[index].weight for index in indices])
        batch["loss_weights"] = torch.ones(len(indices))
        if self.rows.reference:
            batch["reference"] = torch.tensor([self.rows.reference[index] for index in indices]).T
        return batch
