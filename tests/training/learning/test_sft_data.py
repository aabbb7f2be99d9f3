"""Rows as fine-tuning reads them: what each token weighs, the order, and a batch."""

from pathlib import Path

import pytest

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before peft, which takes transformers)
import torch

from guardapp.guard.engines.hf.checkpoint import load_processor
from guardapp.guard.engines.hf.encoding import Encoded
from tests.guard.tiny_checkpoint import build_checkpoint
from tests.training.tiny_run import mixed_rows
from training.learning import heartbeat
from training.learning.sft_data import EncodedRows, GroupedByLength, GuardCollator, token_weights


@pytest.mark.parametrize(
    ("loss_on_prompt", "row_weight", "expected"),
    [
        (0.0, 1.0, [0, 0, 0, 0, 1, 1]),
        (0.5, 1.0, [0, 0, 0, 0.5, 1, 1]),
        (0.5, 2.0, [0, 0, 0, 1, 2, 2]),
    ],
)
def test_what_each_token_weighs(loss_on_prompt: float, row_weight: float, expected: list[float]) -> None:
    encoded = Encoded(torch.arange(6), torch.tensor([0, 1, 2, 0, 0, 0]), {}, prompt_tokens=4)
    assert token_weights(encoded, row_weight=row_weight, loss_on_prompt=loss_on_prompt).tolist() == expected


def test_the_order_groups_like_lengths_and_follows_from_seed_and_epoch() -> None:
    lengths = [100 + (number * 37) % 400 for number in range(203)]
    order = GroupedByLength(lengths, batch_size=8, seed=3)
    first = list(order)
    assert sorted(first) == list(range(203))
    assert first == list(GroupedByLength(lengths, batch_size=8, seed=3))
    order.set_epoch(1)
    assert list(order) != first
    batches = [first[start : start + 8] for start in range(0, 203, 8)]
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)


def test_one_pool_of_all_rows_puts_the_few_long_ones_together() -> None:
    lengths = [3_000 + number if number % 40 == 0 else 60 + number % 50 for number in range(1_600)]

    def padded(pool_batches: int) -> int:
        order = list(GroupedByLength(lengths, 8, 3, pool_batches=pool_batches))
        assert sorted(order) == list(range(1_600))
        return sum(8 * max(lengths[index] for index in order[start : start + 8]) for start in range(0, 1_600, 8))

    assert padded(1_000) < 1.15 * sum(lengths)
    assert padded(10) > 1.5 * sum(lengths)


def test_a_batch_holds_the_pixels_of_all_its_rows(tmp_path: Path) -> None:
    processor = load_processor(str(build_checkpoint(tmp_path / "base")))
    rows = EncodedRows.measure(processor, mixed_rows(tmp_path / "media", 4), 4096, heartbeat.Heartbeat(tmp_path))
    batch = GuardCollator(rows, 0, 0.0)([{"index": index} for index in (3, 1, 2, 0)])
    assert len(batch["pixel_values"]) == len(rows[1].pixels["pixel_values"])
    assert len(batch["pixel_values_videos"]) == len(rows[2].pixels["pixel_values_videos"])
