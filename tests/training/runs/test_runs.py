"""Runs: queued, claimed once, executed by the real jobs, cancelled, resumed."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from annotation.models import ModelVersion
from annotation.status import Role, VersionStatus
from tests.factories import make_user, production
from tests.training.rows import make_snapshot
from training.contract import CHECKPOINTS, EXIT_CANCELLED, RESULT
from training.errors import RunNotCancellable, RunNotResumable, SnapshotDamaged
from training.files import directory_of, file_of, log_tail
from training.models import DatasetSnapshot, Evaluation, TrainingRun
from training.models.claims import RUN_CLAIMS
from training.recipes import SettingUnknown
from training.runs import execute, job_process
from training.runs.execute import EVALUATIONS, RUNS, claim, execute_next
from training.runs.job_process import Limits
from training.runs.request import cancel_run, clone_run, request_run, resume_run
from training.status import RunStatus

pytestmark = pytest.mark.django_db
QUICK = {"max_steps": 4, "batch_size": 4, "save_every": 1, "log_every": 1, "cutoff_tokens": 1024}
LIMITS = Limits(poll=0.1, cancel=30, kill=5, hung=120)


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


def queued(snapshot: DatasetSnapshot, checkpoint: Path | str = "nowhere", **overrides: Any) -> TrainingRun:
    return request_run(
        snapshot=snapshot,
        base_version=production(str(checkpoint)),
        requested_by=snapshot.created_by,
        overrides=QUICK | overrides,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_becomes_a_candidate_that_is_evaluated_beside_production(
    snapshot: DatasetSnapshot, tiny: Path, settings: Any
) -> None:
    settings.MAX_NEW_TOKENS = 16
    ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(checkpoint=str(tiny))
    run = queued(snapshot, tiny)
    assert execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED, run.error + log_tail(directory_of(run))
    assert (
        run.version is not None
        and run.version.status == VersionStatus.CANDIDATE
        and run.version.parent == run.base_version
    )
    assert (Path(run.version.checkpoint) / "config.json").exists()
    assert not (directory_of(run) / CHECKPOINTS).exists()
    assert run.result["steps"] == 4

    assert execute_next(limits=LIMITS) and execute_next(limits=LIMITS) and not execute_next(limits=LIMITS)
    for evaluation in Evaluation.objects.all():
        assert evaluation.status == RunStatus.SUCCEEDED, evaluation.error
        assert evaluation.rows.count() == snapshot.counts["holdout"] == evaluation.result["rows"]
    assert {evaluation.version for evaluation in Evaluation.objects.all()} == {run.version, run.base_version}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_cancelled_run_goes_on_from_its_checkpoint(
    snapshot: DatasetSnapshot, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(checkpoint=str(tiny))
    run = queued(snapshot, tiny, max_steps=400)

    def cancel_at_first_checkpoint(_run_dir: Path, _started: float) -> float:
        if any((directory_of(run) / CHECKPOINTS).glob("checkpoint-*/trainer_state.json")):
            try:
                cancel_run(run=run)
            except RunNotCancellable:
                pass
        return 0.0

    with monkeypatch.context() as patched:
        patched.setattr(job_process, "heartbeat_age", cancel_at_first_checkpoint)
        execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED and run.version is None, run.error
    assert list((directory_of(run) / CHECKPOINTS).glob("checkpoint-*"))

    resume_run(run=run)
    TrainingRun.objects.filter(pk=run.pk).update(config=run.config | {"max_steps": 12})
    execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED, run.error
    assert "resuming from" in log_tail(directory_of(run), 100_000)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Jobs whose program is a few lines: for what the worker does, not what the job does."""
    real = subprocess.Popen

    def use(program: str) -> None:
        script = tmp_path / "job.py"
        script.write_text("import json, pathlib, sys, time\nrun_dir = pathlib.Path(sys.argv[1])\n" + program)

        def popen(command: list[str], **keywords: Any) -> Any:
            return real([sys.executable, str(script), command[-1]], **keywords)

        monkeypatch.setattr(subprocess, "Popen", popen)

    yield use


def test_a_job_that_fails_says_why_and_can_be_resumed(snapshot: DatasetSnapshot, scripted: Any) -> None:
    scripted("raise SystemExit('the disk is full')")
    run = queued(snapshot)
    execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.FAILED, "the disk is full")
    with pytest.raises(RunNotCancellable):
        cancel_run(run=run)
    resume_run(run=run)
    run.refresh_from_db()
    assert (run.status, run.error, run.attempts) == (RunStatus.QUEUED, "", 0)
    with pytest.raises(RunNotResumable):
        resume_run(run=run)


def test_a_hung_job_is_ended_and_queued_again_until_it_is_given_up(snapshot: DatasetSnapshot, scripted: Any) -> None:
    scripted("time.sleep(600)")
    run = queued(snapshot)
    hurried = Limits(poll=0.05, cancel=5, kill=2, hung=0.3)
    execute_next(limits=hurried)
    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED and "No heartbeat" in run.error
    TrainingRun.objects.update(attempts=RUN_CLAIMS.most_attempts)
    execute_next(limits=hurried)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED and "Given up" in run.error


def test_a_job_that_ignores_the_cancel_is_killed(snapshot: DatasetSnapshot, scripted: Any) -> None:
    scripted("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)")
    run = queued(snapshot)
    TrainingRun.objects.update(cancel_requested_at=timezone.now())
    began = time.monotonic()
    execute_next(limits=Limits(poll=0.05, cancel=0.2, kill=0.5, hung=60))
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED and time.monotonic() - began < 30


def test_a_worker_that_shuts_down_puts_its_job_back(snapshot: DatasetSnapshot, scripted: Any) -> None:
    scripted(f"import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit({EXIT_CANCELLED}))\ntime.sleep(600)")
    run = queued(snapshot)
    stopping = threading.Event()
    threading.Timer(1.0, stopping.set).start()
    execute_next(stopping=stopping.is_set, limits=LIMITS)
    run.refresh_from_db()
    assert (run.status, run.attempts, run.error) == (RunStatus.QUEUED, 0, "")


def test_a_job_that_is_done_is_not_started_again(snapshot: DatasetSnapshot, scripted: Any) -> None:
    scripted("raise SystemExit('started')")
    run = queued(snapshot)
    run_dir = directory_of(run)
    (run_dir / "model").mkdir(parents=True)
    (run_dir / RESULT).write_text('{"steps": 1, "train_rows": 30}')
    execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert ModelVersion.objects.filter(name=run.name).count() == 1


def test_two_workers_never_claim_one_run(snapshot: DatasetSnapshot) -> None:
    run = queued(snapshot)
    assert claim(RUNS) == run
    assert claim(RUNS) is None and claim(EVALUATIONS) is None


def test_a_claim_that_ran_out_is_taken_over(snapshot: DatasetSnapshot) -> None:
    first = queued(snapshot)
    held = claim(RUNS)
    TrainingRun.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    again = claim(RUNS)
    assert held is not None and again == first and again.claim_token != held.claim_token and again.attempts == 2


def test_a_worker_that_lost_its_claim_writes_nothing(snapshot: DatasetSnapshot) -> None:
    run = queued(snapshot)
    held = claim(RUNS)
    TrainingRun.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    claim(RUNS)
    execute._end(RUNS, held, RunStatus.FAILED, "late")
    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.RUNNING, "")


def test_a_job_whose_directory_is_held_is_not_started_twice(
    snapshot: DatasetSnapshot, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted("raise SystemExit('started')")
    run = queued(snapshot)
    monkeypatch.setattr(job_process, "held", _with_short_waits(job_process.held))
    with job_process.held(directory_of(run), 0) as lock:
        assert lock is not None
        execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING and run.error == ""


def _with_short_waits(held: Any) -> Any:
    return lambda run_dir, wait_s: held(run_dir, min(wait_s, 0.2))


def test_a_queued_run_is_cancelled_at_once(snapshot: DatasetSnapshot) -> None:
    run = queued(snapshot)
    cancel_run(run=run)
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED and not execute_next(limits=LIMITS)


def test_a_clone_has_the_settings_of_its_original(snapshot: DatasetSnapshot) -> None:
    run = queued(snapshot, seed=4)
    clone = clone_run(run=run, requested_by=make_user(Role.LEAD), overrides={"epochs": 2})
    assert clone.pk != run.pk and clone.name != run.name
    assert clone.config == run.config | {"epochs": 2.0}


def test_a_misspelt_setting_is_refused(snapshot: DatasetSnapshot) -> None:
    with pytest.raises(SettingUnknown, match="learning_rat is not a setting"):
        queued(snapshot, learning_rat=1)
    with pytest.raises(SettingUnknown, match="whole number"):
        queued(snapshot, batch_size=1.5)


def test_a_damaged_snapshot_trains_nothing(snapshot: DatasetSnapshot, scripted: Any) -> None:
    scripted("raise SystemExit('started')")
    run = queued(snapshot)
    file_of(snapshot).unlink()
    execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED and run.error == str(SnapshotDamaged())


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_a_mining_that_wants_vllm_says_that_it_is_missing_before_anything_starts(
    snapshot: DatasetSnapshot, scripted: Any
) -> None:
    scripted("raise SystemExit('started')")
    TrainingRun.objects.filter(pk=(run := queued(snapshot)).pk).update(config=run.config | {"engine": "vllm"})
    execute_next(limits=LIMITS)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED and run.error.startswith(
        "vLLM is not installed where the training worker runs."
    )
