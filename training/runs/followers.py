"""What the end of a run means for those that wait for it, and for the pipeline that it belongs to."""

from collections.abc import Iterable

from django.utils import timezone

from annotation.models import ModelVersion
from annotation.outbound.webhooks import announce
from annotation.status import WebhookEvent
from training.models import Pipeline, TrainingRun
from training.status import OPEN, RunStatus


def run_ended(run: TrainingRun, status: RunStatus) -> None:
    """Called in the transaction that ends a run: what waited for a run that made nothing is cancelled."""
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
    """All that wait for it, near and far. A person did not ask for it: `cancel_requested_at` stays empty."""
    waiting = TrainingRun.objects.filter(pk__in=[follower.pk for follower in followers(run)], status=RunStatus.QUEUED)
    waiting.update(status=RunStatus.CANCELLED, error=why, finished_at=timezone.now())


def requeue_followers(run: TrainingRun) -> None:
    """Those that were cancelled with it, when it is queued again; what a person cancelled stays so."""
    stopped = TrainingRun.objects.filter(
        pk__in=[follower.pk for follower in followers(run)],
        status=RunStatus.CANCELLED,
        cancel_requested_at__isnull=True,
    )
    stopped.update(status=RunStatus.QUEUED, error="", finished_at=None, attempts=0)


def hand_on(run: TrainingRun, version: ModelVersion) -> None:
    """What waits for this run starts from the version that it made."""
    waiting = TrainingRun.objects.filter(pk__in=[follower.pk for follower in followers(run)], status=RunStatus.QUEUED)
    waiting.update(base_version=version)


def followers(run: TrainingRun) -> list[TrainingRun]:
    """Those that wait for the run, those that wait for these, and so on."""
    found: list[TrainingRun] = []
    layer: Iterable[TrainingRun] = [run]
    while layer := list(TrainingRun.objects.filter(after__in=layer).order_by("id")):
        found += layer
    return found


def settle(pipeline_id: int | None) -> None:
    """Write the pipeline's status from those of its runs."""
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
