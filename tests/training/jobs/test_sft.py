"""Supervised fine-tuning on a tiny checkpoint: learning, stopping, dying, resuming."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before peft, which takes transformers)
import torch
from peft import PeftModel
from safetensors.torch import load_file

from guardapp.guard.engines.adapters import adapter_in
from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.verdict import Decoding
from tests.guard.tiny_checkpoint import build_checkpoint, text_sample
from tests.training.tiny_run import metrics, mixed_rows, result, run_here, sft_run, write_rows
from training.contract import CANCEL, CHECKPOINTS, EXIT_CANCELLED, ConfigNotUsable, SftConfig, read_json
from training.jobs import sft
from training.learning import heartbeat
from training.learning.job_parts import newest_checkpoint
from training.learning.sft_data import EncodedRows, GuardCollator, NoTrainingRows, token_weights, training_rows

Weights = dict[str, torch.Tensor]


def weights_of(folder: Path) -> Weights:
    weights: Weights = load_file(folder / "model.safetensors")
    return weights


def same(one: Weights, other: Weights, *, atol: float = 1e-6) -> bool:
    return one.keys() == other.keys() and all(torch.allclose(one[key], other[key], atol=atol) for key in one)


def test_mixed_rows_are_learned_and_the_run_directory_holds_all(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=16, max_steps=12)
    assert run_here(sft.main, run_dir) == 0
    lines = metrics(run_dir)
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    assert set(lines[0]) == {"step", "epoch", "loss", "lr", "grad_norm", "tokens_per_s", "tokens", "seconds"}
    done = result(run_dir)
    assert (done["steps"], done["train_rows"], done["dropped"]) == (12, 16, 0)
    assert done["tokens"] == lines[-1]["tokens"] > 0
    assert done["final_loss"] == lines[-1]["loss"]
    assert done["transformers_version"]
    progress = read_json(run_dir / "progress.json")
    assert progress is not None
    assert (progress["stage"], progress["done"], progress["total"]) == ("saving", 12, 12)
    HfEngine(str(run_dir / "model"), device="cpu").generate([text_sample()], Decoding(max_new_tokens=4))
    assert run_here(sft.main, run_dir) == 0  # done before: nothing is trained twice
    assert len(metrics(run_dir)) == 12


def test_qwen2_5_vl_trains_too(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=8, family="qwen2_5_vl", max_steps=6)
    assert run_here(sft.main, run_dir) == 0
    assert metrics(run_dir)[-1]["loss"] < metrics(run_dir)[0]["loss"]


def test_a_cancelled_run_resumes_to_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = build_checkpoint(tmp_path / "base")
    whole, stopped = (sft_run(tmp_path / name, rows=20, base=base, max_steps=8) for name in ("whole", "stopped"))
    assert run_here(sft.main, whole) == 0

    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "cancel_requested", lambda run_dir: len(metrics(run_dir)) >= 3)
        assert run_here(sft.main, stopped) == EXIT_CANCELLED
    assert not (stopped / "result.json").exists()
    checkpoint = newest_checkpoint(stopped)
    assert checkpoint is not None
    assert checkpoint.name in {"checkpoint-3", "checkpoint-4"}

    assert run_here(sft.main, stopped) == 0
    assert result(stopped)["steps"] == 8
    assert metrics(stopped)[-1]["step"] == 8
    assert same(weights_of(whole / "model"), weights_of(stopped / "model"))


def test_a_wish_to_stop_before_the_first_step_is_honoured(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=4, max_steps=2)
    (run_dir / CANCEL).touch()
    assert run_here(sft.main, run_dir) == EXIT_CANCELLED
    assert not (run_dir / CHECKPOINTS).exists()


def start(run_dir: Path) -> "subprocess.Popen[bytes]":
    with (run_dir / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "training.jobs.sft", str(run_dir)], stdout=log, stderr=subprocess.STDOUT
        )


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_run_resumes_past_a_half_written_checkpoint_and_sigterm_saves_one(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=16, max_steps=4000, save_every=5)
    killed = start(run_dir)
    wait_for(lambda: any((run_dir / CHECKPOINTS).glob("checkpoint-*/trainer_state.json")))
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    before = newest_checkpoint(run_dir)
    assert before is not None
    half_written = run_dir / CHECKPOINTS / "checkpoint-3999"
    shutil.copytree(before, half_written, ignore=shutil.ignore_patterns("trainer_state.json"))
    lines = len(metrics(run_dir))

    resumed = start(run_dir)
    wait_for(lambda: len(metrics(run_dir)) > lines + 2)
    resumed.terminate()
    assert resumed.wait() == EXIT_CANCELLED
    assert not half_written.exists()
    steps = int(before.name.rpartition("-")[2])
    assert metrics(run_dir)[lines]["step"] == steps + 1
    after = newest_checkpoint(run_dir)
    assert after is not None
    assert int(after.name.rpartition("-")[2]) >= metrics(run_dir)[-1]["step"] > steps


def test_an_adapter_is_merged_and_leaves_the_vision_tower_alone(tmp_path: Path) -> None:
    run_dir = sft_run(tmp_path / "run", rows=8, max_steps=6, lora_rank=4, lora_alpha=8, save_every=3)
    assert run_here(sft.main, run_dir) == 0
    before, after = weights_of(run_dir / "base"), weights_of(run_dir / "model")
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert all("language_model" in key and "_proj" in key for key in changed)
    assert metrics(run_dir)[-1]["loss"] < metrics(run_dir)[0]["loss"]
    HfEngine(str(run_dir / "model"), device="cpu").generate([text_sample()], Decoding(max_new_tokens=4))
    kept = adapter_in(str(run_dir / "model"))
    assert kept is not None, "servers of the base take the adapter itself"
    on_base = PeftModel.from_pretrained(
        load_model(str(run_dir / "base"), dtype=torch.float32), str(kept)
    ).merge_and_unload()
    weights = on_base.state_dict()
    assert all(torch.allclose(weights[key], after[key], atol=1e-6) for key in changed)

    # killed while it saved: the adapter's last checkpoint is enough
    (run_dir / "result.json").unlink()
    shutil.rmtree(run_dir / "model")
    assert run_here(sft.main, run_dir) == 0
    assert same(weights_of(run_dir / "model"), after)


def test_the_vision_tower_can_be_frozen_and_the_model_saved_in_bfloat16(tmp_path: Path) -> None:
    run_dir = sft_run(
        tmp_path / "run", rows=8, max_steps=2, freeze_vision=True, save_bf16=True, bf16=True, warmup_ratio=0.0
    )
    assert run_here(sft.main, run_dir) == 0
    before, after = weights_of(run_dir / "base"), weights_of(run_dir / "model")
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    vision = [key for key in before if "visual" in key]
    assert vision
    assert all(torch.equal(before[key].bfloat16(), after[key]) for key in vision)
    assert any(not torch.equal(before[key].bfloat16(), after[key]) for key in before)


def test_accumulated_batches_weigh_as_one_large_batch(tmp_path: Path) -> None:
    base = build_checkpoint(tmp_path / "base")
    settings: dict[str, Any] = {"rows": 8, "base": base, "max_steps": 2, "warmup_ratio": 0.0, "learning_rate": 1e-3}
    large = sft_run(tmp_path / "large", batch_size=8, **settings)
    small = sft_run(tmp_path / "small", batch_size=2, gradient_accumulation=4, **settings)
    assert run_here(sft.main, large) == run_here(sft.main, small) == 0
    assert same(weights_of(large / "model"), weights_of(small / "model"), atol=2e-4)
    assert metrics(large)[0]["loss"] == pytest.approx(metrics(small)[0]["loss"], abs=1e-4)


def test_overlong_rows_are_dropped_and_counted_never_cut(tmp_path: Path) -> None:
    processor = load_processor(str(build_checkpoint(tmp_path / "base")))
    rows = mixed_rows(tmp_path / "media", 4)
    rows[2] = replace(rows[2], completion=rows[2].completion * 20)
    measured = EncodedRows.measure(processor, rows, 300, heartbeat.Heartbeat(tmp_path))
    assert (len(measured), measured.dropped) == (3, 1)
    assert measured.lengths == [len(measured[index]) for index in range(3)]
    with pytest.raises(NoTrainingRows, match="4 of them longer than 10"):
        EncodedRows.measure(processor, rows, 10, heartbeat.Heartbeat(tmp_path))


def test_rows_beyond_the_cache_are_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processor = load_processor(str(build_checkpoint(tmp_path / "base")))
    rows = mixed_rows(tmp_path / "media", 4)
    cached = EncodedRows.measure(processor, rows, 4096, heartbeat.Heartbeat(tmp_path))
    monkeypatch.setattr("training.learning.encodings.CACHE_BYTES", 0)
    fresh = EncodedRows.measure(processor, rows, 4096, heartbeat.Heartbeat(tmp_path))
    assert fresh[1] is not fresh[1]
    assert cached[1] is cached[1]
    assert torch.equal(fresh[1].input_ids, cached[1].input_ids)
    assert torch.equal(fresh[1].pixels["pixel_values"], cached[1].pixels["pixel_values"])


def test_replay_rows_are_drawn_by_the_seed_from_train_rows_with_a_completion(tmp_path: Path) -> None:
    rows = mixed_rows(tmp_path, 8)
    dataset = write_rows(
        tmp_path / "new.jsonl", [rows[0], replace(rows[1], completion=""), replace(rows[2], split="holdout")], tmp_path
    )
    replay = write_rows(tmp_path / "old.jsonl", [replace(row, source="old") for row in rows], tmp_path)
    config = SftConfig("base", str(dataset), str(tmp_path), replay_dataset=str(replay), replay_rows=3)
    picked = training_rows(config)
    assert [row.source for row in picked] == ["made-up", "old", "old", "old"]
    assert picked == training_rows(config)
    assert picked != training_rows(replace(config, seed=18))


@pytest.mark.parametrize("loss_on_prompt", [0.0, 0.3])
def test_the_loss_is_the_weighted_mean_of_each_rows_own_token_losses(tmp_path: Path, loss_on_prompt: float) -> None:
    checkpoint = str(build_checkpoint(tmp_path / "base"))
    processor, model = load_processor(checkpoint), load_model(checkpoint, dtype=torch.float32)
    rows = EncodedRows.measure(processor, mixed_rows(tmp_path / "media", 3), 4096, heartbeat.Heartbeat(tmp_path))
    batch = GuardCollator(rows, processor.tokenizer.pad_token_id, loss_on_prompt)(
        [{"index": index} for index in range(3)]
    )
    total = weight = 0.0
    for index in range(3):
        one = rows[index]
        logits = model(input_ids=one.input_ids[None], mm_token_type_ids=one.media_types[None], **one.pixels).logits[0]
        losses = torch.nn.functional.cross_entropy(logits[:-1], one.input_ids[1:], reduction="none")
        weights = token_weights(one, row_weight=1.0, loss_on_prompt=loss_on_prompt)[1:]
        total, weight = total + (losses * weights).sum().item(), weight + weights.sum().item()
    loss, _ = sft.weighted_loss(model, batch, total_weight=None)
    assert loss.item() == pytest.approx(total / weight, abs=1e-5)


def test_a_config_that_lacks_a_field_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigNotUsable, match="does not exist"):
        sft.main(tmp_path)
    (tmp_path / "config.json").write_text('{"base_model": "x", "dataset": "y", "media_root": "z", "epoch": 1}')
    with pytest.raises(ConfigNotUsable, match="epoch"):
        sft.main(tmp_path)
