"""Reports: who complained about an item, why, and when."""

from django.db import models
from django.utils import timezone

from annotation.models.items import Item


class Report(models.Model):
    """Somebody's notice of an item. An item has none, one or more; the same one twice is kept once.

    `reason` is what the sender said, such as {policy_id, text}. `digest` is over reporter, reason and time:
    ingest.reports.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="reports", db_index=False)
    reporter = models.CharField(max_length=200, blank=True, help_text="as the platform names them; empty: not told")
    reason = models.JSONField(default=dict, blank=True)
    reported_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, help_text="when it came in")
    digest = models.CharField(max_length=32)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["item", "digest"], name="a_report_is_kept_once")]

    def __str__(self) -> str:
        return f"report {self.pk} of item {self.item_id}"
