"""The GPU script runs at toy size on any machine: the same rows, jobs and figures."""

from pathlib import Path

import pytest

from benchmarks.gpu_training import TOY, Machine, measure
from tests.training.tiny_run import jobs_here


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_every_step_of_the_gpu_script_at_toy_size(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "work", TOY, None)
    with jobs_here():
        found = measure(machine)
    assert found["size"] == "toy"
    assert found["train_rows"] >= 30
    assert found["sft"]["tokens_per_s"] > 0
    assert found["grpo"]["rollouts_per_s"] > 0
    assert (found["sft"]["mfu"] is None) is (found["device"] == "cpu")
    for side in ("before", "after"):
        assert 0 <= found[side]["tasks"]["prompt_harmfulness"]["f1"] <= 1
    again = measure(machine)  # everything is there: nothing is trained anew
    assert again["minutes"] < found["minutes"] or again["minutes"] == 0.0
    assert {**again, "minutes": 0} == {**found, "minutes": 0}
