"""What a GRPO run reports: its metrics and its rollouts."""

import json
from pathlib import Path

from tests.training.grpo_run import grpo_run
from tests.training.tiny_run import metrics, result, run_here
from training.contract import ROLLOUTS
from training.jobs import grpo
from training.learning.json_lines import read_lines

EVERY_FIELD = {
    "step",
    "epoch",
    "loss",
    "lr",
    "grad_norm",
    "reward",
    "reward_std",
    "reward_format",
    "reward_accuracy",
    "reward_length",
    "pass_rate",
    "parse_failure_rate",
    "completion_tokens",
    "completion_tokens_max",
    "entropy",
    "clip_low",
    "clip_high",
    "clip_fraction",
    "zero_advantage_groups",
    "saturated_right",
    "saturated_wrong",
    "advantage_max_share",
    "tokens",
    "tokens_per_s",
    "rollouts_per_s",
    "seconds",
}


def test_a_run_reports_every_field_and_completions_to_read(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run", reward="omni-v2", max_steps=2)
    assert run_here(grpo.main, run_dir) == 0
    lines = metrics(run_dir)
    assert [line["step"] for line in lines] == [1, 2]
    for line in lines:
        assert line.keys() == EVERY_FIELD | {"reward_omni_v2", "reward_omni_v2_released"}
        assert all(isinstance(value, int | float) for value in line.values())
    assert lines[-1]["tokens"] > lines[0]["tokens"] > 0
    assert lines[0]["parse_failure_rate"] == 1.0  # a random guard writes no labels
    assert lines[0]["completion_tokens_max"] <= 12
    rollouts = read_lines(run_dir / ROLLOUTS)
    assert {line["step"] for line in rollouts} == {1, 2}
    assert rollouts[0].keys() == {"step", "id", "prompt", "completion", "tokens", "reward", "parts", "advantage"}
    assert rollouts[0]["parts"] == {"format": 0.0, "accuracy": 0.0, "length": 0.0}
    found = result(run_dir)
    assert (found["steps"], found["train_rows"], found["rollouts"], found["reward"]) == (2, 8, 16, "omni-v2")
    assert (run_dir / "model" / "preprocessor_config.json").exists() or (
        run_dir / "model" / "processor_config.json"
    ).exists()
    assert run_here(grpo.main, run_dir) == 0  # done: nothing happens again
    assert metrics(run_dir) == lines


def test_a_rollout_line_is_json_of_one_line(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run", max_steps=1)
    assert run_here(grpo.main, run_dir) == 0
    for line in (run_dir / ROLLOUTS).read_text().splitlines():
        assert json.loads(line)["step"] == 1
