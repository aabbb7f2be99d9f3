"""Training runs, evaluations and promotions."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.models import ModelVersion, User
from training.models.schedules import Pipeline
from training.models.snapshots import DatasetSnapshot
from training.status import PromotionKind, RunKind, RunStatus


class JobRow(models.Model):
    """Common fields of runs and evaluations: both are a subprocess (training.contract) supervised by a worker."""

    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.QUEUED)
    config = models.JSONField(default=dict, help_text="the job's config.json")
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # the worker's claim: an expired one is taken over and the job resumed
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    pid = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)

    class Meta:
        abstract = True


class TrainingRun(JobRow):
    """A job on a snapshot. Every kind except mining makes a candidate.

    `config` holds the settings from the start; its places are filled in when the job starts. `recipe_text` is the
    recipe as TOML with the run's own settings. `launch`: {"processes", "strategy": none, ddp, fsdp, zero2, zero3}.
    `after` is the run that must succeed first; once it has, `base_version` is the version that it made. `mined_from` is
    the mining whose kept rows are the dataset instead of the snapshot's. `rows_sha256` pins a mining's rows.jsonl.
    """

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=16, choices=RunKind, default=RunKind.SFT)
    recipe = models.CharField(max_length=100, blank=True)
    recipe_text = models.TextField(blank=True)
    launch = models.JSONField(default=dict, blank=True)
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="runs")
    base_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="runs_from_it")
    version = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="made_by"
    )
    pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    after = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="followers")
    mined_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="trainings")
    cloned_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="clones")
    rows_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status_is_known"),
            models.CheckConstraint(condition=Q(kind__in=RunKind.values), name="run_kind_is_known"),
            models.CheckConstraint(
                condition=~Q(kind=RunKind.MINE) | Q(version__isnull=True), name="mining_makes_no_version"
            ),
            models.CheckConstraint(condition=~Q(after=F("id")), name="run_does_not_wait_for_itself"),
        ]
        indexes = [models.Index(fields=["status", "id"], name="run_by_status")]

    def __str__(self) -> str:
        return self.name


class TrainingRequest(models.Model):
    """An idempotency key sent by a form or a program, see runs.idempotency."""

    key = models.CharField(max_length=64, unique=True)
    run = models.ForeignKey(TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    pipeline = models.ForeignKey(Pipeline, null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key


class Evaluation(JobRow):
    """A version on a snapshot's holdout. `result` holds the job's metrics."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="evaluations")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "snapshot"],
                condition=~Q(status__in=[RunStatus.FAILED, RunStatus.CANCELLED]),
                name="a_version_is_evaluated_once_on_a_snapshot",
            ),
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="evaluation_status_is_known"),
        ]
        indexes = [models.Index(fields=["status", "id"], name="evaluation_by_status")]

    def __str__(self) -> str:
        return f"{self.version} on {self.snapshot}"


class EvaluationRow(models.Model):
    """A version's completion for one row: held out, or a corrected train row watched for regressions."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="rows")
    row_id = models.CharField(max_length=300)
    completion = models.TextField()
    parsed = models.BooleanField()
    gold = models.JSONField(help_text='{"prompt", "response"}')
    predicted = models.JSONField(help_text='{"prompt", "response"}')
    correct = models.BooleanField(help_text="every task that has a gold label is right")
    probabilities = models.JSONField(
        null=True, blank=True, help_text='{"prompt" | "response": {"conditional", "greedy", "sampled"}}, of harm'
    )
    categories = models.JSONField(default=list, help_text="of the gold verdict")
    held_out = models.BooleanField(default=True, help_text="False: watched, counts in no score")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "row_id"], name="a_row_is_scored_once_an_evaluation")
        ]
        indexes = [models.Index(fields=["row_id"], name="evaluation_row_of_item")]


class Promotion(models.Model):
    """Append-only: who put which version into production, which one it replaced, and why.

    `gate` is the report at that time (training.gate.values.GateReport as JSON), empty for a rollback.
    """

    kind = models.CharField(max_length=16, choices=PromotionKind)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="promotions")
    reason = models.TextField()
    gate = models.JSONField(default=dict, blank=True)
    override = models.TextField(blank=True, help_text="why an admin promoted it although the gate had not passed")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="promotion_has_a_reason"),
            models.CheckConstraint(condition=~Q(version=F("previous")), name="promotion_changes_the_version"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"
