"""Text rows end to end: the same loss, gradients and training as padded rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Verdict
from tests.guard.tiny_checkpoint import COMPLETION, Family, build_checkpoint, text_sample
from tests.training.tiny_run import metrics, mixed_rows, run_here, sft_run, write_rows
from training.jobs import sft
from training.learning.fillers import blank_media
from training.learning.heartbeat import Heartbeat
from training.learning.packing import lines_of
from training.learning.rows import Row
from training.learning.sft_data import EncodedRows, GroupedByLength, GuardCollator

LONG_LINES = 4096


def text_rows(count: int) -> list[Row]:
    """Of different lengths, some with a heavier weight."""
    return [
        Row(
            replace(text_sample(number % 7), id=f"text-{number}"),
            Verdict(prompt=Harmfulness.UNHARMFUL, response=None),
            COMPLETION.format(topic="bake bread " * (1 + number % 3), label="unharmful"),
            weight=1.0 + number % 2,
        )
        for number in range(count)
    ]


def measured(processor: Any, rows: list[Row], folder: Path) -> EncodedRows:
    return EncodedRows.measure(processor, rows, LONG_LINES, Heartbeat(folder))


def loss_and_gradients(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss, _ = sft.weighted_loss(model, batch, total_weight=None)
    loss.backward()
    return loss.detach(), {
        name: tensor.grad.clone() for name, tensor in model.named_parameters() if tensor.grad is not None
    }


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
@pytest.mark.parametrize("line_tokens", [LONG_LINES, 700])
@pytest.mark.parametrize("loss_on_prompt", [0.0, 0.3])
def test_packed_rows_have_the_loss_and_gradients_of_padded_ones(
    tmp_path: Path, family: Family, line_tokens: int, loss_on_prompt: float
) -> None:
    checkpoint = str(build_checkpoint(tmp_path / "base", family=family))
    processor, model = load_processor(checkpoint), load_model(checkpoint, dtype=torch.float32)
    rows = measured(processor, text_rows(6), tmp_path)
    picked = [{"index": index} for index in range(6)]
    packed = GuardCollator(rows, 0, loss_on_prompt, line_tokens=line_tokens)(picked)
    padded = GuardCollator(rows, 0, loss_on_prompt)(picked)
    assert (
        len(packed["input_ids"]) == (1 if line_tokens == LONG_LINES else len(lines_of(rows.lengths, line_tokens))) < 6
    )
    assert packed["loss_weights"].sum().item() == pytest.approx(padded["loss_weights"].sum().item(), rel=1e-5)
    loss, gradients = loss_and_gradients(model, packed)
    expected, expected_gradients = loss_and_gradients(model, padded)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    assert max((gradients[name] - expected_gradients[name]).abs().max().item() for name in gradients) < 1e-5


def test_a_row_does_not_see_the_rows_before_it(tmp_path: Path) -> None:
    checkpoint = str(build_checkpoint(tmp_path / "base"))
    processor, model = load_processor(checkpoint), load_model(checkpoint, dtype=torch.float32)
    rows = measured(processor, text_rows(3), tmp_path)
    collator = GuardCollator(rows, 0, 0.0, line_tokens=LONG_LINES)
    last = slice(-rows.lengths[2], None)
    logits = []
    for first in (0, 1):
        batch = collator([{"index": first}, {"index": 2}])
        batch.pop("loss_weights")
        logits.append(model(**batch, use_cache=False).logits[0, last])
    assert torch.allclose(logits[0], logits[1], atol=1e-5)


def test_each_row_stands_on_the_first_line_with_room() -> None:
    assert lines_of([3, 4, 5, 9, 2, 2], 8) == [[0, 1], [2, 4], [3], [5]]


def test_batches_with_media_stay_padded_and_rows_with_media_keep_together(tmp_path: Path) -> None:
    processor = load_processor(str(build_checkpoint(tmp_path / "base")))
    rows = measured(processor, mixed_rows(tmp_path / "media", 8), tmp_path)
    collator = GuardCollator(rows, 0, 0.0, line_tokens=LONG_LINES)
    mixed = collator([{"index": 0}, {"index": 1}])
    assert "attention_mask" in mixed and len(mixed["input_ids"]) == 2
    text = collator([{"index": 0}, {"index": 3}])
    assert "attention_mask" not in text and text["position_ids"].shape == (4, 1, rows.lengths[0] + rows.lengths[3])
    has_media = [bool(row.sample.media) for row in rows.rows]
    order = list(GroupedByLength(rows.lengths, 4, 3, has_media))
    assert {frozenset(has_media[index] for index in order[start : start + 4]) for start in (0, 4)} == {
        frozenset({True}),
        frozenset({False}),
    }


def test_a_packed_run_learns_as_the_padded_one(tmp_path: Path) -> None:
    base = build_checkpoint(tmp_path / "base")
    curves = []
    for packing in (False, True):
        run_dir = sft_run(tmp_path / f"run-{packing}", base=base, max_steps=4, batch_size=4, packing=packing)
        write_rows(run_dir / "rows.jsonl", text_rows(8), run_dir)
        run_here(sft.main, run_dir)
        curves.append([line["loss"] for line in metrics(run_dir)])
    assert curves[1] == pytest.approx(curves[0], abs=1e-3)
    assert curves[1][-1] < curves[1][0]


def test_fillers_stand_in_for_missing_media_and_cost_nothing(tmp_path: Path) -> None:
    checkpoint = str(build_checkpoint(tmp_path / "base"))
    processor, model = load_processor(checkpoint), load_model(checkpoint, dtype=torch.float32)
    rows = measured(processor, mixed_rows(tmp_path / "media", 4), tmp_path)
    fillers = blank_media(processor)
    for picked in ([0, 3], [0, 1], [1, 2]):
        batch = GuardCollator(rows, 0, 0.0, fillers=fillers)([{"index": index} for index in picked])
        plain = GuardCollator(rows, 0, 0.0)([{"index": index} for index in picked])
        assert "pixel_values" in batch and "pixel_values_videos" in batch
        loss, gradients = loss_and_gradients(model, batch)
        expected, expected_gradients = loss_and_gradients(model, plain)
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
        assert gradients.keys() >= expected_gradients.keys()
        assert all(torch.allclose(gradients[name], expected_gradients[name], atol=1e-5) for name in expected_gradients)
