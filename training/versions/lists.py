"""Queries for training's pages and API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.database.lists import count_some, long_texts
from annotation.models import GoldLabel, ModelVersion
from annotation.predictions.production import production_or_none
from annotation.status import TargetSource
from guardapp.guard.taxonomy import Task
from training.contract import PROGRESS, read_json
from training.files import directory_of, log_tail
from training.models import DatasetSnapshot, Evaluation, Pipeline, Promotion, SnapshotRow, TrainingRun
from training.status import FINISHED, RunStatus, SnapshotOrigin

STAGES = {
    "loading": gettext_noop("Loading the guard"),
    "encoding": gettext_noop("Reading the rows"),
    "training": gettext_noop("Training"),
    "saving": gettext_noop("Saving the model"),
    "predicting": gettext_noop("Predicting the holdout"),
    "scoring": gettext_noop("Scoring"),
    "mining": gettext_noop("Drawing rollouts"),
    "reference": gettext_noop("Computing the reference"),
}


@dataclass(frozen=True, slots=True)
class NewGold:
    """Counts of gold, in total and not yet in a snapshot; each counted up to COUNTED_UP_TO + 1."""

    standing: int
    new: int
    new_hard: int
    settling: int  # settled so recently that it can still be undone
    waiting: int  # corrections whose reasoning the guard has yet to write
    last_snapshot_at: datetime | None

    @property
    def is_first(self) -> bool:
        return self.last_snapshot_at is None


@dataclass(frozen=True, slots=True)
class ScoredVersion:
    """A version with its newest finished evaluation."""

    version: ModelVersion
    evaluation: Evaluation | None

    @property
    def f1(self) -> float | None:
        """F1 of the prompt task, or of the response task if the holdout has no prompt labels; 0 to 1."""
        tasks = self.evaluation.result.get("tasks", {}) if self.evaluation else {}
        scores = tasks.get(Task.PROMPT.value) or tasks.get(Task.RESPONSE.value)
        return scores["f1"] if scores else None


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of a job as its page shows and polls it."""

    status: str
    words: str
    running: bool
    finished: bool
    stage: str
    done: int
    total: int
    eta_s: float | None
    error: str
    attempts: int
    cancelling: bool
    log: str

    @property
    def share(self) -> int:
        """Percentage of the stage that is done, 0 to 100."""
        if self.status == RunStatus.SUCCEEDED:
            return 100
        return min(100, round(100 * self.done / self.total)) if self.total else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "words": self.words,
            "running": self.running,
            "finished": self.finished,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "share": self.share,
            "eta": duration(self.eta_s),
            "error": self.error,
            "attempts": self.attempts,
            "cancelling": self.cancelling,
            "log": self.log,
        }


def new_gold() -> NewGold:
    standing = GoldLabel.objects.standing()
    fresh = standing.filter(used_at__isnull=True)
    newest = newest_snapshot()
    return NewGold(
        standing=count_some(standing),
        new=count_some(fresh),
        new_hard=count_some(fresh.filter(hard_sample__isnull=False)),
        settling=count_some(fresh.filter(settled_at__gt=timezone.now())),
        waiting=count_some(standing.filter(target_source=TargetSource.PENDING)),
        last_snapshot_at=newest.created_at if newest else None,
    )


def versions() -> QuerySet[ModelVersion]:
    return ModelVersion.objects.select_related("parent", "made_by", "made_by__snapshot").order_by("-id")


def runs() -> QuerySet[TrainingRun]:
    return TrainingRun.objects.select_related(
        "snapshot", "base_version", "version", "requested_by", "pipeline", "after", "mined_from"
    ).order_by("-id")


def pipelines() -> QuerySet[Pipeline]:
    return Pipeline.objects.select_related("snapshot", "base_version", "schedule", "requested_by").order_by("-id")


def snapshots() -> QuerySet[DatasetSnapshot]:
    return DatasetSnapshot.objects.select_related("created_by").order_by("-id")


def newest_snapshot() -> DatasetSnapshot | None:
    """The newest snapshot made from reviews, on which versions are evaluated."""
    return snapshots().filter(origin=SnapshotOrigin.REVIEWS).first()


def promotions() -> QuerySet[Promotion]:
    return Promotion.objects.select_related("version", "previous", "approver").order_by("-id")


def evaluations(
    *, version: ModelVersion | None = None, snapshot: DatasetSnapshot | None = None
) -> QuerySet[Evaluation]:
    found = Evaluation.objects.select_related("version", "snapshot").order_by("-id")
    if version is not None:
        found = found.filter(version=version)
    return found if snapshot is None else found.filter(snapshot=snapshot)


def evaluations_of_run(run: TrainingRun) -> list[Evaluation]:
    """Evaluations on the run's snapshot: of its candidate, and of production when it ended."""
    if run.version is None:
        return []
    return list(
        Evaluation.objects.filter(snapshot=run.snapshot).select_related("version").order_by("-version_id", "-id")
    )


def active_run() -> TrainingRun | None:
    """The running run, or else the next one in the queue."""
    unended = runs().filter(status__in=[RunStatus.QUEUED, RunStatus.RUNNING])
    return unended.filter(status=RunStatus.RUNNING).first() or unended.order_by("id").first()


def seconds_of(row: TrainingRun | Evaluation) -> str:
    """How long a job took, or has run so far."""
    if row.started_at is None:
        return ""
    return duration(((row.finished_at or timezone.now()) - row.started_at).total_seconds())


def with_scores(found: Sequence[ModelVersion]) -> list[ScoredVersion]:
    """Each version with its newest finished evaluation."""
    done = (
        evaluations()
        .filter(version__in=found, status=RunStatus.SUCCEEDED)
        .exclude(snapshot__origin=SnapshotOrigin.BENCHMARK)
    )
    newest = {evaluation.version_id: evaluation for evaluation in done.order_by("id")}
    return [ScoredVersion(version, newest.get(version.pk)) for version in found]


def is_evaluated(version: ModelVersion) -> bool:
    """Whether the version was evaluated on a snapshot; benchmarks do not represent the content reviewed here."""
    done = evaluations(version=version).filter(status=RunStatus.SUCCEEDED)
    return done.exclude(snapshot__origin=SnapshotOrigin.BENCHMARK).exists()


def baseline_of(version: ModelVersion) -> ModelVersion | None:
    """The version to compare with: production, or for production itself its predecessor or parent."""
    current = production_or_none()
    if current is None or current.pk != version.pk:
        return current
    promoted = promotions().filter(version=version).first()
    return promoted.previous if promoted and promoted.previous else version.parent


def evaluated_pair(version: ModelVersion, baseline: ModelVersion) -> tuple[Evaluation, Evaluation] | None:
    """The finished evaluations of both on the newest snapshot that they share, benchmarks excluded."""
    finished = Evaluation.objects.filter(status=RunStatus.SUCCEEDED).exclude(snapshot__origin=SnapshotOrigin.BENCHMARK)
    done = finished.select_related("version", "snapshot")
    theirs = {evaluation.snapshot_id: evaluation for evaluation in done.filter(version=baseline)}
    for evaluation in done.filter(version=version).order_by("-snapshot_id"):
        if evaluation.snapshot_id in theirs:
            return evaluation, theirs[evaluation.snapshot_id]
    return None


def example_rows(snapshot: DatasetSnapshot, count: int = 20) -> QuerySet[SnapshotRow]:
    return (
        snapshot.rows.select_related("gold", "gold__item")
        .defer(*long_texts(gold="gold", item="gold__item"))
        .order_by("id")[:count]
    )


def job_state(row: TrainingRun | Evaluation) -> JobState:
    """A row's status, with the progress that its job last wrote. A requeued job shows where it stopped."""
    run_dir = directory_of(row)
    progress = read_json(run_dir / PROGRESS) or {}
    running = row.status == RunStatus.RUNNING
    stage = str(progress.get("stage", "")) if running else ""
    return JobState(
        status=row.status,
        words=str(RunStatus(row.status).label),
        running=running,
        finished=row.status in FINISHED,
        stage=_(STAGES.get(stage, gettext_noop("Starting") if running else "")),
        done=int(progress.get("done", 0)),
        total=int(progress.get("total", 0)),
        eta_s=progress.get("eta_s") if running else None,
        error=row.error,
        attempts=row.attempts,
        cancelling=running and row.cancel_requested_at is not None,
        log=log_tail(run_dir),
    )


def duration(seconds: float | None) -> str:
    """160 → "2 min 40 s"; "" for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
