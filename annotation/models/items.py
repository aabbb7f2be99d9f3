"""Items and their media, as they arrive."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.models.authors import Author
from annotation.models.people import ApiKey
from annotation.models.queues import ReviewQueue
from annotation.status import TOO_LONG, ItemStatus, Lane
from guardapp.guard.taxonomy import MediaKind, Modality


class MediaAsset(models.Model):
    """A file identified by its sha256, stored at MEDIA_ROOT/`path`. Untrusted: only the decoding child reads it."""

    sha256 = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in MediaKind])
    mime = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text="bytes")
    path = models.CharField(max_length=200, help_text="relative to the media root")
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="when the bytes went: operations.retention")

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:12]}"


class Item(models.Model):
    """One flagged piece of content: a prompt, an optional response, and media. Unique by (source, external_id).

    `messages` came before them: [{"role": "system" | "user" | "assistant" | "tool", "text", "name", "media": positions
    of `item_media`}]; name and media are there only if given. Their media precede those of prompt and response.

    `free_slots` is the number of reviews the queue still needs minus active assignments. A database constraint keeps it
    from going below zero, so an item is never served more than its queue's reviews_per_item times.
    """

    source = models.CharField(max_length=100)
    external_id = models.CharField(max_length=200)
    modality = models.CharField(max_length=16, choices=[(m.value, m.value) for m in Modality])
    prompt = models.TextField(blank=True)
    response = models.TextField(null=True, blank=True)
    messages = models.JSONField(
        default=list, db_default=[], blank=True, help_text="the conversation before prompt and response"
    )
    metadata = models.JSONField(default=dict, blank=True)
    reason = models.JSONField(default=dict, blank=True, help_text="why the sender flagged it")
    reported_at = models.DateTimeField(null=True, blank=True)
    report_count = models.PositiveIntegerField(default=0, db_default=0, help_text="rows of Report; see ingest.reports")
    author = models.ForeignKey(
        Author, null=True, blank=True, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    thread = models.JSONField(
        default=list, db_default=[], blank=True, help_text="messages around the item: see ingest.read_context"
    )
    url = models.TextField(blank=True, default="", db_default="", help_text="where the item stands on the platform")
    content_hash = models.CharField(max_length=64, help_text="sha256 of the normalised content")
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="when its sender took it back: items.withdraw")
    ingested_by = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    status = models.CharField(max_length=20, choices=ItemStatus, default=ItemStatus.PENDING)
    queue = models.ForeignKey(ReviewQueue, on_delete=models.PROTECT, related_name="items")
    lane = models.CharField(max_length=16, choices=Lane, default=Lane.FLAGGED)
    language = models.CharField(max_length=16, blank=True, help_text="BCP 47, as the sender or the ingestion named it")
    severity = models.PositiveSmallIntegerField(default=0, help_text="0 to 3, of the guard's gravest category")
    round = models.PositiveSmallIntegerField(
        default=1, help_text="grows when an appeal, a new policy or reports reopen the item"
    )
    priority = models.FloatField(default=0.0, help_text="higher is served first")
    free_slots = models.SmallIntegerField(default=1)
    skipped_at = models.DateTimeField(
        null=True, blank=True, help_text="when somebody last skipped it; items.skipped says who is left"
    )
    prediction = models.ForeignKey(
        "annotation.Prediction",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="the prediction that reviewers see",
    )

    # the inference worker's claim
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    apart = models.BooleanField(
        null=True, help_text="claimed apart from the others: it is long, or an attempt on it failed"
    )
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)

    media = models.ManyToManyField(MediaAsset, through="ItemMedia", related_name="items")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="item_external_id_is_used_once_a_source"),
            models.CheckConstraint(condition=Q(free_slots__gte=0), name="item_is_never_served_beyond_its_reviews"),
            models.CheckConstraint(condition=Q(status__in=ItemStatus.values), name="item_status_is_known"),
        ]
        indexes = [
            models.Index(
                "queue",
                F("priority").desc(),
                "id",
                condition=Q(status=ItemStatus.READY, free_slots__gt=0),
                name="item_next_in_queue",
            ),
            models.Index(
                F("priority").desc(), "id", condition=Q(status=ItemStatus.PENDING), name="item_next_to_predict"
            ),
            models.Index(
                F("priority").desc(),
                "id",
                condition=Q(status=ItemStatus.PENDING, apart=True),
                name="item_next_to_predict_apart",
            ),
            models.Index(fields=["-id"], condition=Q(error_code=TOO_LONG), name="item_too_long"),
            models.Index(fields=["claimed_until"], condition=Q(status=ItemStatus.PREDICTING), name="item_stale_claims"),
            models.Index(fields=["queue", "status"], name="item_counts"),
            models.Index(
                fields=["-id"],
                condition=Q(status=ItemStatus.READY, skipped_at__isnull=False),
                name="item_waiting_and_skipped",
            ),
            models.Index(fields=["status", "-id"], name="item_newest_by_status"),
            models.Index(fields=["content_hash"], name="item_same_content"),
            models.Index(fields=["external_id"], opclasses=["varchar_pattern_ops"], name="item_external_id_begins"),
            models.Index(fields=["author", "-id"], condition=Q(author__isnull=False), name="item_of_author"),
            models.Index(fields=["-report_count", "-id"], condition=Q(report_count__gt=1), name="item_most_reported"),
        ]

    def __str__(self) -> str:
        return f"{self.source}/{self.external_id}"


class ItemMedia(models.Model):
    """One of an item's media, in order."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="item_media")
    asset = models.ForeignKey(MediaAsset, on_delete=models.PROTECT, related_name="item_media")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["item", "position"], name="item_media_position_is_used_once")]
