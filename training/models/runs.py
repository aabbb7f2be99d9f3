"""Training runs, evaluations and promotions."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.models import ModelVersion, User
from training.models.snapshots import DatasetSnapshot
from training.status import PromotionKind, RunStatus


class JobRow(models.Model):
    """What a run and an evaluation share: both are a subprocess (training.contract) that a worker looks after."""

    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.QUEUED)
    config = models.JSONField(default=dict, help_text="the job's config.json")
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # the worker's hold: a stale one is taken over and the job resumed
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    pid = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)

    class Meta:
        abstract = True


class TrainingRun(JobRow):
    """One training of a candidate on a snapshot."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=16, default="sft")
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="runs")
    base_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="runs_from_it")
    version = models.OneToOneField(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="made_by")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status_is_known")]
        indexes = [models.Index(fields=["status", "id"], name="run_by_status")]

    def __str__(self) -> str:
        return self.name


class Evaluation(JobRow):
    """A version on a snapshot's holdout. `result` holds the metrics that the job wrote."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="evaluations")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "snapshot"], condition=~Q(status__in=[RunStatus.FAILED, RunStatus.CANCELLED]),
                                    name="a_version_is_evaluated_once_on_a_snapshot"),
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="evaluation_status_is_known"),
        ]
        indexes = [models.Index(fields=["status", "id"], name="evaluation_by_status")]

    def __str__(self) -> str:
        return f"{self.version} on {self.snapshot}"


class EvaluationRow(models.Model):
    """What a version said of one holdout row."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="rows")
    row_id = models.CharField(max_length=300)
    completion = models.TextField()
    parsed = models.BooleanField()
    gold = models.JSONField(help_text='{"prompt", "response"}')
    predicted = models.JSONField(help_text='{"prompt", "response"}')
    correct = models.BooleanField(help_text="every task that has a gold label is right")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["evaluation", "row_id"], name="a_row_is_scored_once_an_evaluation")]


class Promotion(models.Model):
    """Append-only: who made which version production, instead of which, and why."""

    kind = models.CharField(max_length=16, choices=PromotionKind)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="promotions")
    reason = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="promotion_has_a_reason"),
            models.CheckConstraint(condition=~Q(version=F("previous")), name="promotion_changes_the_version"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"
