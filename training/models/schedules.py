"""Pipelines of runs, and schedules that start them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from annotation.models import ModelVersion, User
from training.models.snapshots import DatasetSnapshot
from training.status import OPEN, FiringOutcome, RunStatus, Trigger


class RetrainSchedule(models.Model):
    """When to start a pipeline automatically. It never promotes: a lead decides about the result.

    `cron`, `hard_samples` and `agreement_*` are parameters of the triggers of those names. `overrides`: {kind of run:
    {setting: value}}. `attempted_at` is a fence: if two workers check at once, only one fires.
    """

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    trigger = models.CharField(max_length=16, choices=Trigger)
    cron = models.CharField(max_length=100, blank=True, help_text="minute hour day-of-month month day-of-week")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="IANA name; cron is read in it")
    hard_samples = models.PositiveIntegerField(default=50, help_text="new ones that start a pipeline")
    agreement_below = models.FloatField(
        default=0.9, help_text="0 to 1: share of gold that the serving version agrees with"
    )
    agreement_window = models.PositiveIntegerField(
        default=200, help_text="settled gold labels that the share is taken over"
    )
    min_hours = models.PositiveIntegerField(default=12, help_text="between two pipelines of this schedule")
    recipe = models.CharField(max_length=100)
    overrides = models.JSONField(default=dict, blank=True)
    launch = models.JSONField(default=dict, blank=True, help_text='{"processes", "strategy"}; empty: one process')
    beat = models.OneToOneField(PeriodicTask, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    attempted_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", help_text="its snapshots and runs are theirs"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(trigger__in=Trigger.values), name="schedule_trigger_is_known"),
            models.CheckConstraint(condition=~Q(trigger=Trigger.CRON, cron=""), name="schedule_by_time_has_a_time"),
            models.CheckConstraint(
                condition=Q(agreement_below__gt=0, agreement_below__lte=1), name="schedule_agreement_is_a_share"
            ),
            models.CheckConstraint(
                condition=Q(hard_samples__gte=1, agreement_window__gte=1), name="schedule_counts_something"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Pipeline(models.Model):
    """A sequence of runs on one snapshot, the stages of a recipe; the last version is evaluated against production.

    stages: [{"kind", "overrides"}] as requested. `status` is derived from the runs in training.runs.followers.
    """

    name = models.CharField(max_length=100, unique=True)
    recipe = models.CharField(max_length=100)
    stages = models.JSONField(default=list)
    launch = models.JSONField(default=dict)
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="pipelines")
    base_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="pipelines_from_it")
    schedule = models.ForeignKey(
        RetrainSchedule, null=True, blank=True, on_delete=models.SET_NULL, related_name="pipelines"
    )
    cloned_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="clones")
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="pipeline_status_is_known"),
            models.UniqueConstraint(
                fields=["schedule"],
                condition=Q(schedule__isnull=False, status__in=OPEN),
                name="a_schedule_has_one_open_pipeline",
            ),
        ]
        indexes = [models.Index(fields=["status", "id"], name="pipeline_by_status")]

    def __str__(self) -> str:
        return self.name


class Firing(models.Model):
    """Append-only: a schedule's condition was met, with the result, or the reason why nothing was started."""

    schedule = models.ForeignKey(RetrainSchedule, on_delete=models.CASCADE, related_name="firings")
    at = models.DateTimeField(default=timezone.now)
    why = models.CharField(max_length=300, help_text="the condition that was met, with its numbers")
    outcome = models.CharField(max_length=16, choices=FiringOutcome)
    note = models.TextField(blank=True, help_text="why no pipeline was started")
    pipeline = models.OneToOneField(Pipeline, null=True, blank=True, on_delete=models.PROTECT, related_name="firing")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome=FiringOutcome.STARTED, pipeline__isnull=False)
                | (~Q(outcome=FiringOutcome.STARTED) & Q(pipeline__isnull=True) & ~Q(note="")),
                name="firing_started_a_pipeline_or_says_why_not",
            ),
        ]
        indexes = [models.Index(fields=["schedule", "-id"], name="firing_newest")]
