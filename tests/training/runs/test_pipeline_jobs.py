"""Real jobs one after the other, and workers killed in the middle of each stage: nothing is lost, nothing is done
twice.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.factories import production
from tests.guard.tiny_checkpoint import COMPLETION
from tests.made_once import Migrated
from tests.paths import ROOT
from tests.training.rows import make_snapshot
from training.contract import MINED, RESULT, ROWS
from training.files import directory_of, file_of, log_tail
from training.models import Evaluation
from training.runs.execute import execute_next
from training.runs.job_process import Limits
from training.runs.request import request_run
from training.status import RunKind, RunStatus

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(2400)]
PATIENCE_S = 600
LIMITS = Limits(poll=0.1, cancel=30, kill=5, hung=600)


def until(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the job of a dead worker on Linux")
def test_mining_and_grpo_go_on_after_their_workers_are_killed(tmp_path: Path, migrated: Migrated, tiny: Path) -> None:
    data = tmp_path / "data"
    migrated(data)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GUARDAPP_")} | {
        "GUARDAPP_DATA": str(data),
        "GUARDAPP_CLAIM_SECONDS": "2",
    }

    def worker(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "tests.training.worker", *words], cwd=ROOT, env=environment)

    def row(number: int, columns: str) -> Any:
        with sqlite3.connect(data / "guardapp.sqlite3", timeout=30) as database:
            found = database.execute(f"select {columns} from training_trainingrun where id = {number}").fetchone()
        database.close()
        return found

    def kill_when(number: int, underway: Any) -> None:
        first = worker("work", "")
        until(lambda: underway() or first.poll() is not None, PATIENCE_S)
        job = row(number, "pid")[0]
        assert first.poll() is None and alive(job), log(number)
        first.send_signal(signal.SIGKILL)
        first.wait()
        until(lambda: not alive(job), 60)
        assert row(number, "status, version_id") == ("running", None)
        time.sleep(2.5)  # the dead worker's claim runs out

    def log(number: int) -> str:
        path = data / "runs" / f"run-{number}" / "log.txt"
        return path.read_text() if path.exists() else ""

    def mined() -> list[dict[str, Any]]:
        path = data / "runs" / "run-1" / MINED
        return (
            [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            if path.exists()
            else []
        )

    assert worker("pipeline", str(tiny)).wait(120) == 0
    kill_when(1, mined)
    before = mined()
    assert worker("work", "").wait(PATIENCE_S) == 0
    assert row(1, "status, attempts, version_id") == ("succeeded", 2, None), log(1)
    after = mined()
    assert after[: len(before)] == before and len({line["id"] for line in after}) == len(after)
    result = json.loads((data / "runs" / "run-1" / RESULT).read_text())
    assert (
        result["rows"] == len(after)
        and result["kept"] == len((data / "runs" / "run-1" / ROWS).read_text().splitlines()) > 0
    )

    checkpoints = data / "runs" / "run-2" / "checkpoints"
    kill_when(2, lambda: any(checkpoints.glob("checkpoint-*/trainer_state.json")))
    assert worker("work", "").wait(PATIENCE_S) == 0
    assert row(2, "status, attempts") == ("succeeded", 2), log(2)
    assert "resuming from" in log(2)
    with sqlite3.connect(data / "guardapp.sqlite3") as database:
        assert database.execute("select status from training_pipeline").fetchall() == [("succeeded",)]
        assert database.execute(
            "select status, parent_id is not null from annotation_modelversion where name = 'r2'"
        ).fetchall() == [("candidate", 1)]
        assert database.execute("select count(*) from training_evaluation").fetchone() == (2,)
    database.close()


@pytest.mark.django_db
def test_dpo_learns_from_the_rows_that_a_mining_kept(tiny: Path) -> None:
    base = production(str(tiny))
    snapshot = make_snapshot(24)
    mining = request_run(snapshot=snapshot, base_version=base, requested_by=snapshot.created_by, kind=RunKind.MINE)
    run_dir = directory_of(mining)
    run_dir.mkdir(parents=True)
    rows = [json.loads(line) for line in file_of(snapshot).read_text().splitlines()]
    trained = [row for row in rows if row["split"] == "train"]
    write_rows_with_rollouts(run_dir / ROWS, trained)
    # a mining that is done
    (run_dir / RESULT).write_text(json.dumps({"rows": len(trained), "kept": len(trained)}))
    execute_next(limits=LIMITS)
    mining.refresh_from_db()

    dpo = request_run(
        snapshot=snapshot,
        base_version=base,
        requested_by=snapshot.created_by,
        kind=RunKind.DPO,
        mined_from=mining,
        overrides={"max_steps": 2, "batch_size": 2, "save_every": 1, "cutoff_tokens": 1024},
    )
    execute_next(limits=LIMITS)
    dpo.refresh_from_db()
    assert dpo.status == RunStatus.SUCCEEDED, dpo.error + log_tail(directory_of(dpo))
    assert dpo.version is not None and dpo.version.parent == base and dpo.result["steps"] == 2
    assert {evaluation.version for evaluation in Evaluation.objects.all()} == {dpo.version, base}


def write_rows_with_rollouts(path: Path, rows: list[dict[str, Any]]) -> None:
    """Each with a right and a wrong completion, as a mining by the rule `mixed` keeps them."""
    for row in rows:
        label = row["labels"]["prompt"]
        wrong = {"harmful": "unharmful", "unharmful": "harmful"}[label]
        said = [COMPLETION.format(topic="do a thing", label=one) for one in (label, wrong)]
        row |= {
            "pass_rate": 0.5,
            "rollouts": [{"completion": text, "right": text is said[0], "tokens": 30} for text in said],
        }
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
