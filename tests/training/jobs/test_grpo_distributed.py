"""GRPO in two processes: whole groups on each, one set of figures, one writer, and both end at the same step."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.training.grpo_run import grpo_run
from tests.training.tiny_run import metrics, result
from training.contract import CANCEL, CHECKPOINTS, CONFIG, EXIT_CANCELLED, RESULT, ROLLOUTS, read_json
from training.learning.json_lines import read_lines
from training.recipes.launch import Launch, write_launch
from training.runs import job_process

# seconds: a process takes tens of them to import what it needs, and two share busy cores
HANGS = 600


def run(run_dir: Path, *, cancelled: bool = False) -> int:
    """As a worker starts it, with two processes; the exit code."""
    write_launch(run_dir, Launch(processes=2, strategy="ddp"), read_json(run_dir / CONFIG) or {}, gpus=0)
    with job_process.held(run_dir, 1.0) as lock:
        assert lock is not None
        job: Any = job_process.start("training.jobs.grpo", run_dir, lock)
        if cancelled:
            (run_dir / CANCEL).touch()  # a start takes an older wish to stop away
    try:
        return int(job.wait(HANGS))
    except subprocess.TimeoutExpired:
        job_process.signal_group(job.pid, signal.SIGKILL)
        job.wait()
        raise


@pytest.mark.slow
@pytest.mark.timeout(2 * HANGS)
def test_two_processes_draw_a_rollout_batch_together_and_stop_together(tmp_path: Path) -> None:
    run_dir = grpo_run(tmp_path / "run", max_steps=4, num_iterations=2, micro_batch=2, concat_share=0.25)
    assert run(run_dir) == 0
    lines = metrics(run_dir)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    # of both processes: two rollout batches of 2 prompts x 4 completions
    assert result(run_dir)["rollouts"] == 16
    assert {line["step"] for line in read_lines(run_dir / ROLLOUTS)} == {1, 3}
    saved = run_dir / CHECKPOINTS / "checkpoint-4"
    assert {file.name for file in saved.glob("rollouts-*")} == {
        "rollouts-0.safetensors",
        "rollouts-1.safetensors",
    }

    stopped = grpo_run(tmp_path / "stopped", max_steps=4, micro_batch=2)
    assert run(stopped, cancelled=True) == EXIT_CANCELLED
    assert not (stopped / RESULT).exists()
