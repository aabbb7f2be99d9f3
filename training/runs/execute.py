"""Claim a queued run or evaluation, supervise its job, and record its result.

The claim is in the database, the lock in the run directory. If a worker dies, its job dies too (start_job.py). Once the
claim expires, the next task takes over the row, and the job resumes from its newest checkpoint.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from annotation.database import clock
from annotation.database.claims import Claim, Claims
from annotation.models import DeviceLoan
from annotation.predictions import shared_device
from guardapp.guard.engines.kinds import EngineUnknown
from training.contract import CANCEL, CONFIG, EXIT_CANCELLED, RESULT, read_json, write_json
from training.errors import TrainingError
from training.files import directory_of, log_tail
from training.models import TrainingRun
from training.models.claims import EVALUATION_CLAIMS, RUN_CLAIMS
from training.recipes import SettingUnknown
from training.recipes.launch import LaunchNotUsable
from training.runs import job_process
from training.runs.finish import finish_run
from training.runs.followers import run_ended, settle
from training.runs.job_config import prepare_evaluation, prepare_run
from training.runs.job_process import Limits
from training.status import RunStatus
from training.versions.evaluations import finish_evaluation

LIMITS = Limits()

log = logging.getLogger(__name__)


class Ended(StrEnum):
    """How a job ended, from the worker's point of view."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    HUNG = "hung"
    STOPPED = "stopped"  # the worker is shutting down: requeue
    LOST = "lost"  # another worker now holds the row


@dataclass(frozen=True, slots=True)
class Kind:
    """The differences between runs and evaluations. `ready` selects queued rows that may start now."""

    claims: Claims[Any]
    module: Callable[[Any], str]
    ready: Q
    prepare: Callable[[Any, Path], dict[str, Any]]
    finish: Callable[[Any, Path, dict[str, Any]], None]


EVALUATIONS = Kind(EVALUATION_CLAIMS, lambda _: "training.jobs.evaluate", Q(), prepare_evaluation, finish_evaluation)
RUNS = Kind(
    RUN_CLAIMS,
    lambda run: f"training.jobs.{run.kind}",
    Q(after__isnull=True) | Q(after__status=RunStatus.SUCCEEDED),
    prepare_run,
    finish_run,
)


def never() -> bool:
    return False


def execute_next(*, stopping: Callable[[], bool] = never, limits: Limits = LIMITS) -> bool:
    """Execute one job. Evaluations go first: they are short, and somebody is waiting for them.

    False if there is none.
    """
    for kind in (EVALUATIONS, RUNS):
        row = claim(kind)
        if row is not None:
            _execute(kind, row, stopping, limits)
            return True
    return False


def claim(kind: Kind) -> Any | None:
    """Claim the oldest queued row that is ready, or one whose worker let its claim expire."""
    rows, now = kind.claims.model._default_manager, clock.now()
    for row in rows.filter(kind.ready, kind.claims.free(now)).order_by("id")[:5]:
        if kind.claims.take_row(row, started_at=row.started_at or now, finished_at=None, error=""):
            row.refresh_from_db()
            if isinstance(row, TrainingRun):
                settle(row.pipeline_id)
            return row
    return None


def _execute(kind: Kind, row: Any, stopping: Callable[[], bool], limits: Limits) -> None:
    run_dir = directory_of(row)
    if row.attempts > kind.claims.most_attempts:
        most = kind.claims.most_attempts
        _end(kind, row, RunStatus.FAILED, f"Given up: it did not come to an end in {most} attempts. See the log.")
        return
    with job_process.held(run_dir, wait_s=1.0) as lock:
        if lock is not None:
            _work(kind, row, run_dir, lock, stopping, limits)
            return
    job_process.end_orphan(row.pid, run_dir)
    with job_process.held(run_dir, wait_s=10.0) as lock:
        if lock is not None:
            _work(kind, row, run_dir, lock, stopping, limits)
        # its job is still running out of this worker's reach: retry when the claim expires
        else:
            log.warning("%s is still held by a process of an earlier worker", row)


def _work(kind: Kind, row: Any, run_dir: Path, lock: IO[str], stopping: Callable[[], bool], limits: Limits) -> None:
    try:
        write_json(run_dir / CONFIG, kind.prepare(row, run_dir))
    except (TrainingError, LaunchNotUsable, SettingUnknown, EngineUnknown) as error:
        _end(kind, row, RunStatus.FAILED, str(error))
        return
    ended = Ended.DONE if (run_dir / RESULT).exists() else _on_device(kind, row, run_dir, lock, stopping, limits)
    log.info("%s: %s", row, ended)
    if ended is Ended.DONE:
        try:
            kind.finish(row, run_dir, read_json(run_dir / RESULT) or {})
        except (TrainingError, OSError, KeyError, ValueError) as error:
            _end(
                kind,
                row,
                RunStatus.FAILED,
                f"The job ended well, but its result could not be taken: {type(error).__name__}: {error}",
            )
    elif ended is Ended.CANCELLED:
        _end(kind, row, RunStatus.CANCELLED, "")
    elif ended is Ended.FAILED:
        _end(kind, row, RunStatus.FAILED, _why(run_dir))
    elif ended is Ended.STOPPED:
        _end(kind, row, RunStatus.QUEUED, "", attempts=F("attempts") - 1)
    elif ended is Ended.HUNG:
        _end(kind, row, RunStatus.QUEUED, f"No heartbeat for {limits.hung:.0f} s: stopped and queued again.")


def _on_device(
    kind: Kind, row: Any, run_dir: Path, lock: IO[str], stopping: Callable[[], bool], limits: Limits
) -> Ended:
    """Run the job on the device that it shares with serving, if there is one.

    Requests the device, waits until the guards have released it, and returns it at the end.
    """
    if not settings.SHARED_DEVICE:
        return _watch(kind, row, run_dir, lock, stopping, limits)
    claim = kind.claims.of(row)
    loan: Claim[DeviceLoan] | None = None
    try:
        while True:
            if loan is None or not loan.renew():
                loan = shared_device.borrow(holder=str(row))
            if loan is not None and shared_device.is_free():
                break
            if _cancelled(claim):
                return Ended.CANCELLED
            if stopping():
                return Ended.STOPPED
            if not claim.renew():
                return Ended.LOST
            time.sleep(limits.poll)
        return _watch(kind, row, run_dir, lock, stopping, limits, loan)
    finally:
        if loan is not None:
            shared_device.give_back(loan)


def _watch(
    kind: Kind,
    row: Any,
    run_dir: Path,
    lock: IO[str],
    stopping: Callable[[], bool],
    limits: Limits,
    loan: Claim[DeviceLoan] | None = None,
) -> Ended:
    """Start the job and supervise it until it ends.

    Renews the claim and the loan of the device, forwards a cancellation, and stops a job that hangs.
    """
    job = job_process.start(kind.module(row), run_dir, lock)
    started = time.time()
    claim = kind.claims.of(row)
    claim.held().update(pid=job.pid)
    renewed, cancelled_at = started, 0.0
    try:
        while job.poll() is None:
            time.sleep(limits.poll)
            now = time.time()
            if now - renewed > settings.CLAIM_SECONDS / 4:
                if not claim.renew():
                    return Ended.LOST
                # this worker was suspended for so long that the guards have taken the device back
                if loan is not None and not loan.renew():
                    job_process.stop(job, limits.kill)
                    return Ended.STOPPED
                renewed = now
            if stopping():
                job_process.stop(job, limits.kill)
                return Ended.DONE if (run_dir / RESULT).exists() else Ended.STOPPED
            if not cancelled_at and _cancelled(claim):
                (run_dir / CANCEL).touch()
                cancelled_at = now
            if cancelled_at and now - cancelled_at > limits.cancel:
                job_process.stop(job, limits.kill)
            elif job_process.heartbeat_age(run_dir, started) > limits.hung:
                job_process.stop(job, limits.kill)
                return Ended.CANCELLED if cancelled_at else Ended.HUNG
    finally:
        if job.poll() is None:
            job_process.stop(job, limits.kill)
    return _verdict(job.returncode, run_dir, cancelled=bool(cancelled_at) or _cancelled(claim))


def _cancelled(claim: Claim[Any]) -> bool:
    return claim.held().filter(cancel_requested_at__isnull=False).exists()


def _verdict(code: int, run_dir: Path, *, cancelled: bool) -> Ended:
    if (run_dir / RESULT).exists():
        return Ended.DONE
    if cancelled:
        return Ended.CANCELLED
    return Ended.STOPPED if code == EXIT_CANCELLED else Ended.FAILED


def _why(run_dir: Path) -> str:
    """The last non-empty line of the log."""
    lines = [line.strip() for line in log_tail(run_dir).splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'The job wrote nothing before it ended.'}"[:500]


def _end(kind: Kind, row: Any, status: RunStatus, error: str, **also: Any) -> None:
    """Release the row with its new status, unless another worker holds it by now."""
    finished_at = None if status == RunStatus.QUEUED else clock.now()
    with transaction.atomic():
        ended = kind.claims.of(row).give_back(status=status, error=error, finished_at=finished_at, pid=None, **also)
        if ended == 1 and isinstance(row, TrainingRun):
            run_ended(row, status)
