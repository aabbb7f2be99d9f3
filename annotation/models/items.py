"""What comes in: items and their media."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.models.people import ApiKey, User
from annotation.status import EventKind, ItemStatus, Lane, QueueOrder, ReviewMode
from guardapp.guard.taxonomy import MediaKind, Modality


class ReviewQueue(models.Model):
    """A stream of items for people, and the rules of working on it."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    mode = models.CharField(max_length=16, choices=ReviewMode, default=ReviewMode.OPEN)
    reviews_per_item = models.PositiveSmallIntegerField(default=1)
    lease_minutes = models.PositiveSmallIntegerField(default=10)
    order = models.CharField(max_length=16, choices=QueueOrder, default=QueueOrder.RISK)
    open = models.BooleanField(default=True, help_text="a closed queue keeps its items and serves none")
    groups = models.ManyToManyField("annotation.ReviewerGroup", blank=True, related_name="queues", help_text="empty: everybody")
    filters = models.JSONField(default=dict, blank=True, help_text="what of it is served: see services.queues")
    blind_share = models.FloatField(default=0.0, help_text="share of leases, 0 to 1, that are blind whatever the mode")
    second_reviews_blind = models.BooleanField(default=False, help_text="hide the guard's judgement from the second and later reviews")
    known_share = models.FloatField(default=0.0, help_text="share of leases, 0 to 1, that are hidden gold items")
    audit_share = models.FloatField(null=True, blank=True, help_text="share of items that always go to people; empty: the setting")
    fewest_seconds = models.PositiveSmallIntegerField(default=0, help_text="a faster decision is asked back; 0: never")
    rerouted_to = models.BigIntegerField(null=True, blank=True, help_text="waiting items above this id are still to be routed again")
    sla_hours = models.PositiveIntegerField(null=True, blank=True, help_text="how long an item may wait")
    blur_default = models.BooleanField(default=True)
    grey_default = models.BooleanField(default=False)
    mute_default = models.BooleanField(default=True)
    blur_categories = models.JSONField(default=list, blank=True, help_text="category codes whose media is blurred here for everybody")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(reviews_per_item__gte=1), name="queue_wants_at_least_one_review"),
            models.CheckConstraint(condition=Q(lease_minutes__gte=1), name="queue_lease_is_at_least_a_minute"),
            models.CheckConstraint(condition=Q(blind_share__gte=0, blind_share__lte=1), name="queue_blind_share_is_0_to_1"),
            models.CheckConstraint(condition=Q(known_share__gte=0, known_share__lte=1), name="queue_known_share_is_0_to_1"),
            models.CheckConstraint(condition=Q(order__in=QueueOrder.values), name="queue_order_is_known"),
        ]

    def __str__(self) -> str:
        return self.name


class MediaAsset(models.Model):
    """Bytes pinned by their sha256, kept once at MEDIA_ROOT/`path`. Never trusted: read only by the decoding child."""

    sha256 = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in MediaKind])
    mime = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text="bytes")
    path = models.CharField(max_length=200, help_text="relative to the media root")
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="when the bytes went: services.retention")

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:12]}"


class Item(models.Model):
    """One flagged piece of content: prompt, response or none, media. Unique by (source, external_id).

    `free_slots` = reviews that the queue still wants − active assignments: the database refuses to let it go below zero,
    so nobody is served an item beyond its queue's reviews_per_item.
    """

    source = models.CharField(max_length=100)
    external_id = models.CharField(max_length=200)
    modality = models.CharField(max_length=16, choices=[(m.value, m.value) for m in Modality])
    prompt = models.TextField(blank=True)
    response = models.TextField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    reason = models.JSONField(default=dict, blank=True, help_text="why the sender flagged it")
    reported_at = models.DateTimeField(null=True, blank=True)
    content_hash = models.CharField(max_length=64, help_text="sha256 of the normalised content")
    created_at = models.DateTimeField(default=timezone.now)
    ingested_by = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    status = models.CharField(max_length=20, choices=ItemStatus, default=ItemStatus.PENDING)
    queue = models.ForeignKey(ReviewQueue, on_delete=models.PROTECT, related_name="items")
    lane = models.CharField(max_length=16, choices=Lane, default=Lane.FLAGGED)
    language = models.CharField(max_length=16, blank=True, help_text="BCP 47, as the sender or the ingestion named it")
    severity = models.PositiveSmallIntegerField(default=0, help_text="0 to 3, of the guard's gravest category")
    round = models.PositiveSmallIntegerField(default=1, help_text="grows when an appeal or a new policy reopens the item")
    priority = models.FloatField(default=0.0, help_text="higher is served first")
    free_slots = models.SmallIntegerField(default=1)
    prediction = models.ForeignKey("annotation.Prediction", null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
                                   help_text="the prediction that reviewers see")

    # the inference worker's hold
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
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
            models.Index("queue", F("priority").desc(), "id", condition=Q(status=ItemStatus.READY, free_slots__gt=0),
                         name="item_next_in_queue"),
            models.Index(F("priority").desc(), "id", condition=Q(status=ItemStatus.PENDING), name="item_next_to_predict"),
            models.Index(fields=["claimed_until"], condition=Q(status=ItemStatus.PREDICTING), name="item_stale_claims"),
            models.Index(fields=["queue", "status"], name="item_counts"),
            models.Index(fields=["status", "-id"], name="item_newest_by_status"),
            models.Index(fields=["content_hash"], name="item_same_content"),
            models.Index(fields=["external_id"], opclasses=["varchar_pattern_ops"], name="item_external_id_begins"),
        ]

    def __str__(self) -> str:
        return f"{self.source}/{self.external_id}"


class ItemMedia(models.Model):
    """An item's media in order."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="item_media")
    asset = models.ForeignKey(MediaAsset, on_delete=models.PROTECT, related_name="item_media")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["item", "position"], name="item_media_position_is_used_once")]


class Event(models.Model):
    """Append-only audit: who did what to which item, and when. `actor` is None where the product itself acted."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=32)
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    item = models.ForeignKey(Item, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [models.Index(fields=["item", "id"], name="event_of_item"),
                   models.Index(fields=["actor", "-id"], condition=Q(kind=EventKind.FLAGGED_FOR_LATER), name="event_flag_of_person")]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
