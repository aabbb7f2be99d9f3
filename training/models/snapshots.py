"""Immutable datasets."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import GoldLabel, User
from training.status import SnapshotOrigin, Split


class DatasetSnapshot(models.Model):
    """A JSONL file (training.learning.rows) pinned by its sha256. Neither the file nor its rows ever change.

    counts: {"train", "holdout", "hard", "by_modality": {…}, "by_source": {…}, "dropped": {reason: n}}.
    """

    name = models.CharField(max_length=100, unique=True)
    origin = models.CharField(max_length=16, choices=SnapshotOrigin, default=SnapshotOrigin.REVIEWS)
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=500, help_text="relative to the snapshots folder")
    counts = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(origin__in=SnapshotOrigin.values), name="snapshot_origin_is_known")
        ]

    def __str__(self) -> str:
        return self.name


class SnapshotRow(models.Model):
    """A gold label in a snapshot, and its side of the split."""

    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.CASCADE, related_name="rows")
    gold = models.ForeignKey(GoldLabel, on_delete=models.PROTECT, related_name="snapshot_rows")
    split = models.CharField(max_length=8, choices=Split)
    group_key = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "gold"], name="gold_stands_once_in_a_snapshot"),
            models.CheckConstraint(condition=Q(split__in=Split.values), name="snapshot_split_is_known"),
        ]
        indexes = [models.Index(fields=["group_key"], name="snapshot_row_group")]
