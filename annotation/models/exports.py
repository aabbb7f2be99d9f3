"""Exports written to files by a worker: the request, its progress, and the finished files."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.people import User
from annotation.status import ExportLayout, ExportState


class Export(models.Model):
    """Standing gold with ids up to `top_gold`, in files of at most `rows_a_file` rows under EXPORTS_DIR/<id>/.

    `done_up_to` is the gold id where the next file begins, so a killed worker loses only the file it was writing. The
    row is kept when its files are pruned.
    """

    format = models.CharField(max_length=16)
    only_hard = models.BooleanField(default=False)
    with_media = models.BooleanField(
        default=False, help_text="some row has media when it is asked for: TRL rows then have lists"
    )
    layout = models.CharField(max_length=8, choices=ExportLayout, default=ExportLayout.JSONL)
    rows_a_file = models.PositiveIntegerField()
    top_gold = models.BigIntegerField(help_text="id of the last gold label that it may hold")
    done_up_to = models.BigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    dropped = models.JSONField(default=dict, help_text="{reason: rows left out}")
    state = models.CharField(max_length=16, choices=ExportState, default=ExportState.QUEUED)
    error = models.TextField(blank=True)
    asked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="exports")
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="since the last finished file")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    pruned_at = models.DateTimeField(null=True, blank=True, help_text="when its files were deleted")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(state__in=ExportState.values), name="export_state_is_known")]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(state__in=[ExportState.QUEUED, ExportState.RUNNING]), name="export_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def share(self) -> float:
        """Progress from 0 to 1, estimated from ids so that no rows have to be counted."""
        if self.state == ExportState.DONE:
            return 1.0
        return self.done_up_to / self.top_gold if self.top_gold else 0.0


class ExportFile(models.Model):
    """A finished file. Append-only: the row is created once the file is complete on disk."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="files")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["export", "number"], name="an_export_file_is_written_once")]

    def __str__(self) -> str:
        return self.name
