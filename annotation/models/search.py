"""Text for searches, near-copies, saved filters and bulk decisions."""

from django.db import models
from django.utils import timezone

from annotation.models.guards import LABELS
from annotation.models.items import Item
from annotation.models.people import User


class ItemText(models.Model):
    """What searches look into: an item's words, normalised by `annotation.database.search_text`.

    Written with the item. It has an index of trigrams: FTS5 on SQLite, kept by triggers; GIN on PostgreSQL.
    """

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="text_for_search")
    text = models.TextField()


class SearchFill(models.Model):
    """How far the texts of items from before the column have been written, newest first. One row, or none if done."""

    below = models.BigIntegerField(help_text="items with lower ids have no text yet")
    total = models.BigIntegerField(help_text="ids at the beginning")


class Fingerprint(models.Model):
    """One band of an item's locality-sensitive hash: items that share a band may be near-copies."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="fingerprints")
    kind = models.CharField(max_length=8, choices=[("text", "text"), ("image", "image"), ("frame", "frame")])
    band = models.PositiveSmallIntegerField()
    value = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["kind", "band", "value"], name="fingerprint_lookup")]


class SavedFilter(models.Model):
    """A named search. `query` is the query string of the items page."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_filters")
    name = models.CharField(max_length=100)
    query = models.TextField()
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="a_saved_filter_has_its_own_name")]

    def __str__(self) -> str:
        return self.name


class BulkDecision(models.Model):
    """One verdict on a previewed set of items. Each item gets its own review, which refers to this row."""

    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="bulk_decisions")
    at = models.DateTimeField(default=timezone.now)
    idempotency_key = models.CharField(max_length=64)
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True)
    like = models.ForeignKey(
        Item,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="the item whose near-copies were decided",
    )
    skipped = models.JSONField(default=dict, help_text="{item id: why it was left out}")
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["made_by", "idempotency_key"], name="the_same_bulk_submit_is_one_decision")
        ]
