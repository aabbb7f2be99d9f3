"""GRPO on a tiny checkpoint: learning, the clip range, stopping and going on, concatenations, what a run reports."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.rl.clip_range import ClipSchedule
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Verdict
from tests.guard.tiny_checkpoint import COMPLETION, text_sample
from tests.training.grpo_run import grpo_run, trainer_of
from tests.training.tiny_run import metrics, result, run_here, sft_run, write_rows
from training.contract import CANCEL, CHECKPOINTS, EXIT_CANCELLED, ROLLOUTS, GrpoConfig, read_config
from training.jobs import grpo, sft
from training.learning import lifecycle
from training.learning.grpo.data import CONCATENATED
from training.learning.grpo.passes import forward_passes
from training.learning.grpo.trainer import GuardGrpoTrainer
from training.learning.heartbeat import Heartbeat
from training.learning.json_lines import read_lines
from training.learning.rows import Row
from training.learning.sft_data import NoTrainingRows


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guard that writes the published format and says harmful and unharmful equally often."""
    run_dir = sft_run(tmp_path_factory.mktemp("undecided") / "run", rows=2, max_steps=60)
    rows = []
    for number, label in enumerate(("harmful", "unharmful")):
        for seen, sample in enumerate((text_sample(1), text_sample(3))):
            rows.append(
                Row(
                    replace(sample, id=f"{number}-{seen}"),
                    Verdict(prompt=Harmfulness(label)),
                    COMPLETION.format(topic="bake bread", label=label),
                )
            )
    write_rows(run_dir / "rows.jsonl", rows, run_dir / "media")
    assert run_here(sft.main, run_dir) == 0
    return run_dir / "model"


def unharmful_rows(count: int) -> list[Row]:
    return [
        Row(replace(text_sample(1 + 2 * (number % 2)), id=f"row-{number}"), Verdict(prompt=Harmfulness.UNHARMFUL), "")
        for number in range(count)
    ]


def while_training(monkeypatch: pytest.MonkeyPatch, seen: Callable[[GuardGrpoTrainer], Any]) -> list[Any]:
    """What `seen` says of the trainer at each forward pass of a run."""
    values: list[Any] = []
    compute = GuardGrpoTrainer._compute_loss

    def watched(trainer: GuardGrpoTrainer, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        values.append(seen(trainer))
        return compute(trainer, model, inputs)

    monkeypatch.setattr(GuardGrpoTrainer, "_compute_loss", watched)
    return values


def test_the_reward_rises_and_the_guard_decides(tmp_path: Path, undecided: Path) -> None:
    run_dir = grpo_run(
        tmp_path / "run",
        rows=unharmful_rows(4),
        base=undecided,
        reward="omni-v2",
        group_size=8,
        prompts_per_batch=2,
        update_batch=16,
        micro_batch=16,
        max_new_tokens=40,
        learning_rate=5e-4,
        max_steps=16,
    )
    assert run_here(grpo.main, run_dir) == 0
    logged = metrics(run_dir)
    assert sum(line["reward"] for line in logged[:3]) / 3 < 0.65
    assert sum(line["reward"] for line in logged[-3:]) / 3 > 0.8
    # what is all right teaches nothing any more
    assert logged[0]["saturated_right"] == 0.0 < max(line["saturated_right"] for line in logged)
    engine = HfEngine(str(run_dir / "model"), device="cpu")
    ((answer,),) = engine.generate([text_sample(1)], Decoding(max_new_tokens=40))
    assert answer.judgement is not None
    assert answer.judgement.verdict.prompt is Harmfulness.UNHARMFUL


def test_the_clip_range_follows_its_schedule_at_every_step_and_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = while_training(
        monkeypatch, lambda trainer: (trainer.state.global_step + 1, trainer.epsilon_low, trainer.epsilon_high)
    )
    settings: dict[str, Any] = {
        "clip_schedule": "product",
        "clip_high": 0.3,
        "clip_floor": 0.02,
        "num_iterations": 2,
        "max_steps": 6,
    }
    run_dir = grpo_run(tmp_path / "run", **settings)
    monkeypatch.setattr(Heartbeat, "cancelled", property(lambda self: len(ranges) >= 6))
    assert run_here(grpo.main, run_dir) == EXIT_CANCELLED
    before = len(ranges)
    assert ranges[-1][0] == 3
    monkeypatch.setattr(Heartbeat, "cancelled", False)
    assert run_here(grpo.main, run_dir) == 0
    schedule = ClipSchedule(0.2, 0.3, "product", 0.02)
    assert [step for step, _, _ in ranges] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert ranges[before][0] == 4
    for step, low, high in ranges:
        assert (low, high) == (schedule.at(step, 6).low, schedule.at(step, 6).high)
    assert [(line["clip_low"], line["clip_high"]) for line in metrics(run_dir)] == [
        ranges[at][1:] for at in range(0, 12, 2)
    ]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path, undecided: Path) -> None:
    """Stopped in the middle of a rollout batch: the same completions are used on, and the same are drawn after them."""
    settings: dict[str, Any] = {
        "base": undecided,
        "rows": unharmful_rows(6),
        "num_iterations": 2,
        "update_batch": 4,
        "max_new_tokens": 40,
        "max_steps": 7,
        "learning_rate": 5e-4,
        "save_every": 3,
    }
    whole, stopped = grpo_run(tmp_path / "whole", **settings), grpo_run(tmp_path / "stopped", **settings)
    assert run_here(grpo.main, whole) == 0
    shutil.copytree(whole / CHECKPOINTS / "checkpoint-6", tmp_path / "six")

    class StopsAtTwo(Heartbeat):
        @property
        def cancelled(self) -> bool:
            return len(metrics(self.run_dir)) == 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle, "Heartbeat", StopsAtTwo)
        assert run_here(grpo.main, stopped) == EXIT_CANCELLED
    steps_before = len(metrics(stopped))
    assert 2 <= steps_before < 4  # a rollout batch makes 4 updates here
    assert run_here(grpo.main, stopped) == 0
    times = {"seconds", "tokens_per_s", "rollouts_per_s"}
    assert [{name: value for name, value in line.items() if name not in times} for line in metrics(stopped)] == [
        {name: value for name, value in line.items() if name not in times} for line in metrics(whole)
    ]
    one, other = (load_file(run / "model" / "model.safetensors") for run in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_cancelled_run_says_so_and_an_empty_one_too(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run")
    (run_dir / CANCEL).touch()
    assert run_here(grpo.main, run_dir) == EXIT_CANCELLED
    assert not (run_dir / "result.json").exists()
    empty = grpo_run(tmp_path / "empty", rows=[replace(row, verdict=Verdict()) for row in unharmful_rows(2)])
    with pytest.raises(NoTrainingRows):
        run_here(grpo.main, empty)
    long = grpo_run(tmp_path / "long", max_prompt_tokens=20)
    with pytest.raises(NoTrainingRows, match="8 of them longer than 20 tokens"):
        run_here(grpo.main, long)


def test_groups_without_an_advantage_are_counted_and_left_out_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random guard earns 0 for everything: all groups are flat, and nothing moves it but weight decay, which is 0."""
    rows = while_training(monkeypatch, lambda trainer: len(trainer._passes[0]["advantages"]))
    for skip, size in ((False, 4), (True, 1)):
        rows.clear()
        run_dir = grpo_run(tmp_path / f"skip-{skip}", skip_zero_advantage=skip, max_steps=2)
        assert run_here(grpo.main, run_dir) == 0
        assert rows == [size] * 4
        for line in metrics(run_dir):
            assert (line["zero_advantage_groups"], line["saturated_wrong"], line["loss"], line["grad_norm"]) == (
                1.0,
                1.0,
                0.0,
                0.0,
            )
        before, after = (load_file(folder / "model.safetensors") for folder in (run_dir / "base", run_dir / "model"))
        assert all(torch.equal(before[name], after[name]) for name in after)


def test_an_update_weighs_its_tokens_or_its_completions_alike(tmp_path: Path) -> None:
    for loss, skip in (("token_mean", False), ("token_mean", True), ("sequence_mean", False), ("sequence_mean", True)):
        run_dir = grpo_run(
            tmp_path / f"{loss}-{skip}",
            loss=loss,
            skip_zero_advantage=skip,
            group_size=2,
            prompts_per_batch=4,
            update_batch=4,
        )
        trainer = trainer_of(run_dir, read_config(run_dir, GrpoConfig))
        lengths = torch.tensor([3, 1, 2, 2, 4, 1, 5, 2])
        advantages = torch.tensor([1.0, -1.0, 0.0, 0.0, 0.5, -0.5, 0.0, 0.0])
        mask = (torch.arange(5) < lengths[:, None]).long()
        drawn = {
            "advantages": advantages,
            "completion_mask": mask,
            "prompt_mask": torch.ones(8, 6).long(),
            "row": torch.arange(8),
            "num_items_in_batch": torch.tensor(20),
        }
        passes = forward_passes(drawn, trainer.batches, trainer.config, trainer.accelerator.gather)
        assert len(passes) == 2  # two updates, one pass each
        for update, chosen in zip(passes, ([0, 1, 2, 3], [4, 5, 6, 7]), strict=True):
            kept = [at for at in chosen if not skip or advantages[at]]
            assert sorted(update["row"].tolist()) == kept
            tokens = sum(int(lengths[at]) for at in kept)
            for row, weight in zip(update["row"].tolist(), update["weight"].tolist(), strict=True):
                expected = 1 / tokens if loss == "token_mean" else 1 / (len(kept) * int(lengths[row]))
                assert weight == pytest.approx(expected)


def test_concatenations_are_drawn_for_and_shown(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run", rows=8, concat_share=0.5, concat_balance=True, max_steps=8, max_new_tokens=4)
    assert run_here(grpo.main, run_dir) == 0
    found = result(run_dir)
    assert found["concatenated"] > 0
    assert found["train_rows"] == 8 + found["concatenated"]
    assert any("\n\n" in line["prompt"] for line in read_lines(run_dir / ROLLOUTS))
    assert list((run_dir / CONCATENATED).glob("*.png"))


def test_an_adapter_is_trained_and_merged(tmp_path: Path, undecided: Path) -> None:
    run_dir = grpo_run(
        tmp_path / "run",
        rows=unharmful_rows(2),
        base=undecided,
        lora_rank=4,
        max_steps=2,
        max_new_tokens=40,
        learning_rate=1e-2,
    )
    assert run_here(grpo.main, run_dir) == 0
    before, after = (load_file(folder / "model.safetensors") for folder in (undecided, run_dir / "model"))
    assert before.keys() == after.keys()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed
    assert all("language_model" in name and "_proj" in name for name in changed)


def test_more_completions_an_update_than_a_rollout_batch_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = while_training(monkeypatch, lambda trainer: trainer.rollouts_drawn)
    run_dir = grpo_run(tmp_path / "run", update_batch=16, max_steps=-1, epochs=2, rows=3)
    assert run_here(grpo.main, run_dir) == 0
    assert drawn == [8, 8, 16, 16, 24, 24, 32, 32]  # 4 passes an update, two rollout batches
    assert (result(run_dir)["steps"], result(run_dir)["epochs"]) == (2, 2.0)
