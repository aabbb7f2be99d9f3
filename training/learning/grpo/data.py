"""Rows → prompts for sampling, and their seeded order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from torch.utils.data import Sampler

from guardapp.guard.engines.hf.encoding import Encoded, encode
from guardapp.guard.media.values import PRESETS
from guardapp.guard.taxonomy import MediaKind
from training.contract import GrpoConfig
from training.learning.concatenation import concatenated_rows
from training.learning.encodings import Encodings
from training.learning.heartbeat import Heartbeat
from training.learning.rows import NAMED, Row, read_rows
from training.learning.sft_data import NoTrainingRows

CONCATENATED = "concatenated"  # the run directory's folder of merged pictures


def graded_rows(config: GrpoConfig, run_dir: Path) -> list[Row]:
    """The train rows with a gold label against which completions can be graded, and their concatenations."""
    rows = [row for row in read_rows(Path(config.dataset), Path(config.media_root), split="train") if row.is_graded]
    if config.concat_share:
        rows += concatenated_rows(
            rows,
            run_dir / CONCATENATED,
            share=config.concat_share,
            balance=config.concat_balance,
            seed=config.seed,
            preset=PRESETS[config.media_preset],
        )
    return rows


@dataclass
class Prompts:
    """The rows whose prompts fit. `self[i]` is the encoded prompt of `rows[i]`, from a bounded cache."""

    processor: Any
    rows: list[Row]
    dropped: int = 0
    dropped_ids: list[str] = field(default_factory=list)  # the first ones
    _encodings: Encodings = field(default_factory=Encodings)

    @classmethod
    def measure(cls, processor: Any, rows: Sequence[Row], max_tokens: int, heartbeat: Heartbeat) -> "Prompts":
        """Encode every prompt once. Prompts over the limit are dropped, counted and named, never truncated.

        Raises NoTrainingRows or JobCancelled.
        """
        result = cls(processor, [])
        for row in heartbeat.each("encoding", rows):
            encoded = encode(processor, row.sample)
            if len(encoded) > max_tokens:
                result.dropped += 1
                result.dropped_ids += [row.sample.id] if len(result.dropped_ids) < NAMED else []
                continue
            result._encodings.remember(len(result.rows), encoded)
            result.rows.append(row)
        if not result.rows:
            raise NoTrainingRows(
                f"{len(rows)} rows with gold labels were read, {result.dropped} of them longer than "
                f"{max_tokens} tokens."
            )
        return result

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Encoded:
        return self._encodings.kept.get(index) or encode(self.processor, self.rows[index].sample)

    def has_video(self, index: int) -> bool:
        return any(medium.kind is MediaKind.VIDEO for medium in self.rows[index].sample.media)


class PromptOrder(Sampler[int]):  # type: ignore[misc]
    """The order of prompt indices, one per completion.

    A rollout batch is `batch` prompts, each `group_size` times in a row. It is repeated `repeats` times, once for each
    forward pass that uses it, since TRL's dataloader delivers it for each.

    The order depends only on seed and epoch, so that a resumed run continues exactly. The last batches of an epoch are
    padded with its first prompts, to a multiple of `block`.
    """

    def __init__(self, prompts: int, *, group_size: int, batch: int, block: int, repeats: int, seed: int) -> None:
        self.prompts = prompts
        self.group_size = group_size
        self.batch = batch
        self.repeats = repeats
        self.seed = seed
        self.epoch = 0
        self.drawn = -(-prompts // block) * block  # prompts per epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer (accelerate) before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.drawn * self.group_size * self.repeats

    def __iter__(self) -> Iterator[int]:
        order = Random(f"{self.seed}-{self.epoch}").sample(range(self.prompts), self.prompts)
        for start in range(0, self.drawn, self.batch):
            batch = [order[at % self.prompts] for at in range(start, start + self.batch)]
            for _ in range(self.repeats):
                for prompt in batch:
                    yield from [prompt] * self.group_size
