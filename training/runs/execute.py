"""Claim a queued run or evaluation, supervise its job, and record its result.

The claim is in the database, the lock in the run directory. If a worker dies, its job dies too (start_job.py). Once the
claim expires, the next task takes over the row, and the job resumes from its newest checkpoint.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from annotation.database import clock
from annotation.predictions import shared_device
from training.contract import CANCEL, CONFIG, EXIT_CANCELLED, RESULT, read_json, write_json
from training.errors import TrainingError
from training.files import directory_of, log_tail
from training.models import Evaluation, TrainingRun
from training.recipes.launch import LaunchNotUsable
from training.runs import job_process
from training.runs.finish import finish_run
from training.runs.followers import run_ended, settle
from training.runs.job_config import prepare_evaluation, prepare_run
from training.runs.job_process import Limits
from training.status import RunStatus
from training.versions.evaluations import finish_evaluation

# A job that crashes its worker, or hangs, is not retried for ever.
MAX_ATTEMPTS = 5
LIMITS = Limits()
JobRow = TrainingRun | Evaluation

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

    rows: type[TrainingRun] | type[Evaluation]
    module: Callable[[Any], str]
    ready: Q
    prepare: Callable[[Any, Path], dict[str, Any]]
    finish: Callable[[Any, Path, dict[str, Any]], None]


EVALUATIONS = Kind(Evaluation, lambda _: "training.jobs.evaluate", Q(), prepare_evaluation, finish_evaluation)
RUNS = Kind(
    TrainingRun,
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
    now = clock.now()
    free = Q(status=RunStatus.QUEUED) | Q(status=RunStatus.RUNNING, claimed_until__lt=now)
    for row in kind.rows._default_manager.filter(kind.ready, free).order_by("id")[:5]:
        token = uuid.uuid4()
        taken = kind.rows._default_manager.filter(free, pk=row.pk).update(
            status=RunStatus.RUNNING,
            claim_token=token,
            claimed_until=_until(now),
            attempts=F("attempts") + 1,
            started_at=row.started_at or now,
            finished_at=None,
            error="",
        )
        if taken == 1:
            row.refresh_from_db()
            if isinstance(row, TrainingRun):
                settle(row.pipeline_id)
            return row
    return None


def _until(now: Any) -> Any:
    return now + timedelta(seconds=settings.CLAIM_SECONDS)


def _execute(kind: Kind, row: Any, stopping: Callable[[], bool], limits: Limits) -> None:
    run_dir = directory_of(row)
    if row.attempts > MAX_ATTEMPTS:
        _end(row, RunStatus.FAILED, f"Given up: it did not come to an end in {MAX_ATTEMPTS} attempts. See the log.")
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
    except (TrainingError, LaunchNotUsable) as error:
        _end(row, RunStatus.FAILED, str(error))
        return
    ended = Ended.DONE if (run_dir / RESULT).exists() else _on_device(kind, row, run_dir, lock, stopping, limits)
    log.info("%s: %s", row, ended)
    if ended is Ended.DONE:
        try:
            kind.finish(row, run_dir, read_json(run_dir / RESULT) or {})
        except (TrainingError, OSError, KeyError, ValueError) as error:
            _end(
                row,
                RunStatus.FAILED,
                f"The job ended well, but its result could not be taken: {type(error).__name__}: {error}",
            )
    elif ended is Ended.CANCELLED:
        _end(row, RunStatus.CANCELLED, "")
    elif ended is Ended.FAILED:
        _end(row, RunStatus.FAILED, _why(run_dir))
    elif ended is Ended.STOPPED:
        type(row)._default_manager.filter(pk=row.pk, claim_token=row.claim_token).update(attempts=F("attempts") - 1)
        _end(row, RunStatus.QUEUED, "")
    elif ended is Ended.HUNG:
        _end(row, RunStatus.QUEUED, f"No heartbeat for {limits.hung:.0f} s: stopped and queued again.")


def _on_device(
    kind: Kind, row: Any, run_dir: Path, lock: IO[str], stopping: Callable[[], bool], limits: Limits
) -> Ended:
    """Run the job on the device that it shares with serving, if there is one.

    Requests the device, waits until the guards have released it, and returns it at the end.
    """
    if not settings.SHARED_DEVICE:
        return _watch(kind, row, run_dir, lock, stopping, limits)
    mine = kind.rows._default_manager.filter(pk=row.pk, claim_token=row.claim_token)
    loan: uuid.UUID | None = None
    try:
        while True:
            if loan is None or not shared_device.renew(loan):
                loan = shared_device.borrow(holder=str(row))
            if loan is not None and shared_device.is_free():
                break
            if mine.filter(cancel_requested_at__isnull=False).exists():
                return Ended.CANCELLED
            if stopping():
                return Ended.STOPPED
            if mine.update(claimed_until=_until(clock.now())) != 1:
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
    loan: uuid.UUID | None = None,
) -> Ended:
    """Start the job and supervise it until it ends.

    Renews the claim and the loan of the device, forwards a cancellation, and stops a job that hangs.
    """
    job = job_process.start(kind.module(row), run_dir, lock)
    started = time.time()
    mine = kind.rows._default_manager.filter(pk=row.pk, claim_token=row.claim_token)
    mine.update(pid=job.pid)
    renewed, cancelled_at = started, 0.0
    try:
        while job.poll() is None:
            time.sleep(limits.poll)
            now = time.time()
            if now - renewed > settings.CLAIM_SECONDS / 4:
                if mine.update(claimed_until=_until(clock.now())) != 1:
                    return Ended.LOST
                # this worker was suspended for so long that the guards have taken the device back
                if loan is not None and not shared_device.renew(loan):
                    job_process.stop(job, limits.kill)
                    return Ended.STOPPED
                renewed = now
            if stopping():
                job_process.stop(job, limits.kill)
                return Ended.DONE if (run_dir / RESULT).exists() else Ended.STOPPED
            if not cancelled_at and mine.filter(cancel_requested_at__isnull=False).exists():
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
    return _verdict(
        job.returncode, run_dir, cancelled=bool(cancelled_at) or mine.filter(cancel_requested_at__isnull=False).exists()
    )


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


def _end(row: Any, status: RunStatus, error: str) -> None:
    """Record the end of this worker's claim, unless another worker holds the row by now."""
    done = status != RunStatus.QUEUED
    with transaction.atomic():
        ended = (
            type(row)
            ._default_manager.filter(pk=row.pk, claim_token=row.claim_token)
            .update(
                status=status,
                error=error,
                finished_at=clock.now() if done else None,
                claim_token=None,
                claimed_until=None,
                pid=None,
            )
        )
        if ended == 1 and isinstance(row, TrainingRun):
            run_ended(row, status)
