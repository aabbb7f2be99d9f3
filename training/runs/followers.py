"""Effects of a finished run on the runs that wait for it and on its pipeline."""

from collections.abc import Iterable

from django.utils import timezone

from annotation.models import ModelVersion
from annotation.outbound.webhooks import announce
from annotation.status import WebhookEvent
from training.models import Pipeline, TrainingRun
from training.status import OPEN, RunStatus


def run_ended(run: TrainingRun, status: RunStatus) -> None:
    """Handle the end of a run, within its transaction: if it made nothing, cancel the runs that wait for it."""
    if status in (RunStatus.FAILED, RunStatus.CANCELLED):
        cancel_followers(
            run,
            f"{run.name}, which this run waited for, {_WORDS[status]}. Resume {run.name} and this run "
            "follows it again.",
        )
    settle(run.pipeline_id)
    announce(
        event=WebhookEvent.RUN_FINISHED,
        payload={"run": run.name, "kind": run.kind, "recipe": run.recipe, "status": status.value},
    )


_WORDS = {RunStatus.FAILED: "failed", RunStatus.CANCELLED: "was cancelled"}


def cancel_followers(run: TrainingRun, why: str) -> None:
    """Cancel all queued runs that depend on it. `cancel_requested_at` stays empty, since nobody requested it."""
    waiting = TrainingRun.objects.filter(pk__in=[follower.pk for follower in followers(run)], status=RunStatus.QUEUED)
    waiting.update(status=RunStatus.CANCELLED, error=why, finished_at=timezone.now())


def requeue_followers(run: TrainingRun) -> None:
    """Requeue the runs that were cancelled with it, but not those that a person cancelled."""
    stopped = TrainingRun.objects.filter(
        pk__in=[follower.pk for follower in followers(run)],
        status=RunStatus.CANCELLED,
        cancel_requested_at__isnull=True,
    )
    stopped.update(status=RunStatus.QUEUED, error="", finished_at=None, attempts=0)


def hand_on(run: TrainingRun, version: ModelVersion) -> None:
    """Let the waiting runs start from the version that this run made."""
    waiting = TrainingRun.objects.filter(pk__in=[follower.pk for follower in followers(run)], status=RunStatus.QUEUED)
    waiting.update(base_version=version)


def followers(run: TrainingRun) -> list[TrainingRun]:
    """All runs that depend on this one, directly or indirectly."""
    found: list[TrainingRun] = []
    layer: Iterable[TrainingRun] = [run]
    while layer := list(TrainingRun.objects.filter(after__in=layer).order_by("id")):
        found += layer
    return found


def settle(pipeline_id: int | None) -> None:
    """Derive the pipeline's status from its runs."""
    if pipeline_id is None:
        return
    statuses = set(TrainingRun.objects.filter(pipeline=pipeline_id).values_list("status", flat=True))
    status = _of(statuses)
    finished_at = None if status in OPEN else timezone.now()
    Pipeline.objects.filter(pk=pipeline_id).exclude(status=status).update(status=status, finished_at=finished_at)


def _of(statuses: set[str]) -> RunStatus:
    if statuses & {RunStatus.RUNNING} or (RunStatus.QUEUED in statuses and RunStatus.SUCCEEDED in statuses):
        return RunStatus.RUNNING
    order = (RunStatus.QUEUED, RunStatus.FAILED, RunStatus.CANCELLED)
    return next((status for status in order if status in statuses), RunStatus.SUCCEEDED)
