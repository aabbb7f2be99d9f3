"""Rows → encoded, weighted and padded training batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.utils.data import Sampler

from guardapp.guard.engines.hf.encoding import Encoded, collate, encode
from training.contract import SftConfig
from training.learning.encodings import Encodings
from training.learning.fillers import missing_media
from training.learning.heartbeat import Heartbeat
from training.learning.packing import can_be_packed, pack
from training.learning.rows import NAMED, Row, read_rows


class NoTrainingRows(ValueError):
    """The dataset has no row to train on: none in split "train", or none with a completion within the cutoff."""


def training_rows(config: SftConfig) -> list[Row]:
    """The train rows with a completion, followed by `replay_rows` seeded rows of the replay dataset."""
    media_root = Path(config.media_root)
    rows = [row for row in read_rows(Path(config.dataset), media_root, split="train") if row.completion]
    if config.replay_dataset and config.replay_rows:
        replay_root = Path(config.replay_media_root or config.media_root)
        pool = [row for row in read_rows(Path(config.replay_dataset), replay_root, split="train") if row.completion]
        rows += Random(config.seed).sample(pool, min(config.replay_rows, len(pool)))
    return rows


@dataclass
class EncodedRows:
    """The rows that fit the cutoff. `lengths[i]` counts tokens; `self[i]` encodes lazily, with a bounded cache."""

    processor: Any
    rows: list[Row]
    lengths: list[int] = field(default_factory=list)
    dropped: int = 0
    dropped_ids: list[str] = field(default_factory=list)  # the first ones
    _encodings: Encodings = field(default_factory=Encodings)

    @classmethod
    def measure(cls, processor: Any, rows: Sequence[Row], cutoff_tokens: int, heartbeat: Heartbeat) -> "EncodedRows":
        """Encode every row once. Rows over the cutoff are dropped, counted and named, never truncated.

        Raises NoTrainingRows or JobCancelled.
        """
        result = cls(processor, [])
        for row in heartbeat.each("encoding", rows):
            encoded = encode(processor, row.sample, row.completion)
            if len(encoded) > cutoff_tokens:
                result.dropped += 1
                result.dropped_ids += [row.sample.id] if len(result.dropped_ids) < NAMED else []
                continue
            result._encodings.remember(len(result.rows), encoded)
            result.rows.append(row)
            result.lengths.append(len(encoded))
        if not result.rows:
            raise NoTrainingRows(
                f"{len(rows)} rows were read, {result.dropped} of them longer than {cutoff_tokens} tokens."
            )
        return result

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Encoded:
        row = self.rows[index]
        return self._encodings.kept.get(index) or encode(self.processor, row.sample, row.completion)


def token_weights(encoded: Encoded, *, row_weight: float, loss_on_prompt: float) -> torch.Tensor:
    """Return the loss weight of each token as a target, shape (tokens,).

    It is 1 in the completion, `loss_on_prompt` on the prompt's text and 0 on media placeholders, times the row's
    weight.
    """
    weights = torch.full((len(encoded),), loss_on_prompt)
    weights[encoded.media_types != 0] = 0.0
    weights[encoded.prompt_tokens :] = 1.0
    # nothing predicts the first token
    weights[0] = 0.0
    return weights * row_weight


@dataclass(frozen=True, slots=True)
class GuardCollator:
    """Dataset rows {"index"} → a right-padded batch of text, image and video, with `loss_weights` (rows, tokens).

    A text-only batch is packed into lines of at least `line_tokens` (0: never). `fillers` supply the kinds of media
    that the batch lacks.
    """

    rows: EncodedRows
    pad_token_id: int
    loss_on_prompt: float
    line_tokens: int = 0
    fillers: tuple[Encoded, ...] = ()

    def __call__(self, picked: Sequence[dict[str, int]]) -> dict[str, torch.Tensor]:
        indices = [row["index"] for row in picked]
        encoded = [self.rows[index] for index in indices]
        weights = [
            token_weights(one, row_weight=self.rows.rows[index].weight, loss_on_prompt=self.loss_on_prompt)
            for one, index in zip(encoded, indices, strict=True)
        ]
        encoded += missing_media(encoded, self.fillers)
        if self.line_tokens and can_be_packed(encoded):
            return pack(encoded, weights, line_tokens=self.line_tokens, pad_token_id=self.pad_token_id)
        batch = collate(encoded, pad_token_id=self.pad_token_id, side="right")
        batch["loss_weights"] = torch.zeros(batch["input_ids"].shape, dtype=torch.float32)
        # not strict: fillers have no weights
        for line, weight in zip(batch["loss_weights"], weights, strict=False):
            line[: len(weight)] = weight
        return batch


class GroupedByLength(Sampler[int]):  # type: ignore[misc]
    """A seeded order in which neighbours have similar lengths.

    Rows are sorted by length within pools of `pool_batches` batches, which reduces padding, and the batches are
    shuffled. The order depends only on seed and epoch, so that a resumed run continues exactly. If `apart` marks the
    rows with media, they rarely share a batch with the others.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, apart: Sequence[bool] = (), pool_batches: int = 50
    ) -> None:
        self.lengths = lengths
        self.apart = apart or [False] * len(lengths)
        self.batch_size = batch_size
        self.pool_batches = pool_batches
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer (accelerate) before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        random = Random(f"{self.seed}-{self.epoch}")
        order = random.sample(range(len(self.lengths)), len(self.lengths))
        pool = self.batch_size * self.pool_batches
        batches: list[list[int]] = []
        for start in range(0, len(order), pool):
            ranked = sorted(order[start : start + pool], key=lambda index: (self.apart[index], self.lengths[index]))
            batches += [ranked[at : at + self.batch_size] for at in range(0, len(ranked), self.batch_size)]
        # The short batch, if any, stays last: elsewhere it would shift the boundaries of all later batches.
        tail = [batch for batch in batches if len(batch) < self.batch_size]
        full = [batch for batch in batches if len(batch) == self.batch_size]
        random.shuffle(full)
        for batch in [*full, *tail]:
            yield from batch
