"""The machine annotator and what it said."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.items import Item
from annotation.status import VersionStatus
from guardapp.guard.taxonomy import Harmfulness

LABELS = [(label.value, label.value) for label in Harmfulness]


class ModelVersion(models.Model):
    """A guard checkpoint. Exactly one is production: workers serve that one and notice a change by themselves."""

    name = models.CharField(max_length=100, unique=True)
    checkpoint = models.CharField(max_length=500, help_text="local folder or hub id; services.serving reads it")
    load_error = models.TextField(blank=True, help_text="why a worker could not load it, as of its last try")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    status = models.CharField(max_length=16, choices=VersionStatus, default=VersionStatus.CANDIDATE)
    description = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=Q(status=VersionStatus.PRODUCTION), name="one_version_is_production"),
            models.CheckConstraint(condition=Q(status__in=VersionStatus.values), name="version_status_is_known"),
        ]

    def __str__(self) -> str:
        return self.name


class Prediction(models.Model):
    """A version's stored judgement of an item: the greedy completion and the sampled rollouts beside it.

    rollouts: [{"completion", "prompt_label", "response_label", "parsed", "tokens"}], the sampled ones only.
    media_seen: [{"asset": sha256, "folder": relative to MEDIA_ROOT, "reader", "timestamps": [s], "width", "height"}].
    disagreement: share of parsed and unparsed rollouts whose labels differ from the greedy ones, 0 to 1.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="predictions")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="predictions")
    completion = models.TextField()
    parsed = models.BooleanField()
    steps = models.JSONField(default=list)
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    prompt_score = models.FloatField(null=True, blank=True, help_text="P(harmful) at the label token")
    response_score = models.FloatField(null=True, blank=True, help_text="P(harmful) at the label token")
    rollouts = models.JSONField(default=list)
    disagreement = models.FloatField(default=0.0)
    media_seen = models.JSONField(default=list)
    tokens = models.PositiveIntegerField(default=0)
    latency_ms = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "version"], name="a_version_predicts_an_item_once")]

    def __str__(self) -> str:
        return f"{self.version} on {self.item_id}"
