"""Leases, drafts, reviews, and the gold they produce."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.guards import LABELS, Prediction
from annotation.models.items import Item
from annotation.models.people import User
from annotation.models.policies import PolicyVersion
from annotation.models.queues import ReviewQueue
from annotation.status import (
    ENDED_BY_PERSON,
    REOPENABLE,
    AppealState,
    AssignmentState,
    GoldSource,
    Lane,
    ReviewKind,
    ReviewMode,
    TargetSource,
)

ACTIVE = Q(state=AssignmentState.ACTIVE)


class Assignment(models.Model):
    """A reviewer's timed hold on an item. `token` is a fencing token: a submit with any other token is refused."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments")
    queue = models.ForeignKey(ReviewQueue, on_delete=models.PROTECT, related_name="assignments")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="assignments")
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    state = models.CharField(max_length=16, choices=AssignmentState, default=AssignmentState.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, help_text="why it was escalated")
    round = models.PositiveSmallIntegerField(default=1, help_text="the item's round at the lease")
    mode = models.CharField(
        max_length=16, choices=ReviewMode, blank=True, help_text="drawn at the lease; empty: the queue's"
    )
    opened_at = models.DateTimeField(
        null=True, blank=True, help_text="when the person first saw it; empty: leased early"
    )
    active_seconds = models.FloatField(null=True, blank=True, help_text="measured by the page; empty: by none")
    takes_slot = models.BooleanField(
        default=True, help_text="False for hidden gold and cool-down items: they wait for nobody"
    )
    hidden_gold = models.ForeignKey(
        "annotation.HiddenGold",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assignments",
        db_column="known_id",
    )
    first_prompt_label = models.CharField(
        max_length=10, choices=LABELS, null=True, blank=True, help_text="before the reveal"
    )
    first_response_label = models.CharField(
        max_length=10, choices=LABELS, null=True, blank=True, help_text="before the reveal"
    )
    revealed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer", "round"],
                condition=~Q(state__in=REOPENABLE) & Q(takes_slot=True),
                name="a_reviewer_never_sees_an_item_twice",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=ACTIVE, name="assignment_leases"),
            models.Index(fields=["reviewer", "queue"], condition=ACTIVE, name="assignment_of_reviewer"),
            models.Index(
                fields=["reviewer", "-ended_at", "-id"],
                condition=Q(state__in=ENDED_BY_PERSON),
                name="assignment_last_of_reviewer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer_id} holds {self.item_id}"

    @property
    def review_mode(self) -> ReviewMode:
        """How much of the guard's judgement the reviewer sees for this item."""
        return ReviewMode(self.mode or self.queue.mode)


class Draft(models.Model):
    """A reviewer's unfinished review of an item. It outlives the lease."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="drafts")
    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="drafts")
    payload = models.JSONField(default=dict)
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "reviewer"], name="one_draft_an_item_and_reviewer")]


class Review(models.Model):
    """One person's judgement of an item. Append-only: an undo adds a ReviewRetraction and leaves this row unchanged.

    steps: [{"text": the guard's step or null for an added one, "mark": "right"|"unsure"|"wrong"|null, "edit": new text
    or null, "links": [{"kind": "frame", "medium", "index"} | {"kind": "region", "medium", "index", "x", "y", "w", "h"
    in percent} | {"kind": "span", "field": "prompt"|"response", "start", "end"}]}]; "links" may be missing.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="reviews")
    prediction = models.ForeignKey(Prediction, null=True, blank=True, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="reviews")
    assignment = models.OneToOneField(Assignment, on_delete=models.PROTECT, related_name="review")
    idempotency_key = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=ReviewKind)
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    severity = models.PositiveSmallIntegerField(null=True, blank=True, help_text="0 none to 3 severe")
    confidence = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 low to 3 high")
    note = models.TextField(blank=True)
    reason = models.CharField(max_length=300, blank=True, help_text="why this verdict, in a few words")
    error_kinds = models.JSONField(
        default=list, blank=True, help_text="what was wrong with the guard's judgement: status.ErrorKind"
    )
    steps = models.JSONField(default=list)
    mode = models.CharField(max_length=16, choices=ReviewMode)
    lane = models.CharField(max_length=16, choices=Lane)
    seconds = models.FloatField(help_text="from sight to submit, without idle time: review.leases.lead_time")
    first_prompt_label = models.CharField(
        max_length=10, choices=LABELS, null=True, blank=True, help_text="before the reveal"
    )
    first_response_label = models.CharField(
        max_length=10, choices=LABELS, null=True, blank=True, help_text="before the reveal"
    )
    hidden_gold = models.ForeignKey(
        "annotation.HiddenGold",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reviews",
        db_column="known_id",
    )
    bulk = models.ForeignKey(
        "annotation.BulkDecision", null=True, blank=True, on_delete=models.PROTECT, related_name="reviews"
    )
    upholds = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="upheld_by",
        help_text="the review whose side this one takes in an adjudication",
    )
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reviewer", "idempotency_key"], name="the_same_submit_is_one_review"),
            models.CheckConstraint(
                condition=Q(severity__isnull=True) | Q(severity__lte=3), name="review_severity_is_0_to_3"
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__gte=1, confidence__lte=3),
                name="review_confidence_is_1_to_3",
            ),
        ]
        indexes = [
            models.Index(fields=["reviewer", "-id"], name="review_last_of_reviewer"),
            models.Index(fields=["created_at"], name="review_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer_id} on {self.item_id}"


class ReviewRetraction(models.Model):
    """An undo: the review stays in the history but no longer counts."""

    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="retraction")
    at = models.DateTimeField(default=timezone.now)


class GoldLabels(models.QuerySet["GoldLabel"]):
    def standing(self) -> "GoldLabels":
        """Select gold that is neither withdrawn nor superseded: at most one label per item."""
        return self.filter(withdrawn_at__isnull=True, superseded_at__isnull=True)


class GoldLabel(models.Model):
    """The settled judgement of an item. Only one stands at a time; withdrawn and superseded ones are kept as history.

    An appeal or a re-review supersedes gold that a snapshot may have used; unlike an undo, it leaves the snapshot.
    `target_steps` is the reasoning used for training, `target_source` its origin. `used_at` is set when a snapshot
    takes the row; from then on it cannot be undone.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="gold_labels")
    review = models.ForeignKey(
        Review, on_delete=models.PROTECT, related_name="gold_labels", help_text="the review that settled it"
    )
    prediction = models.ForeignKey(Prediction, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    source = models.CharField(max_length=16, choices=GoldSource)
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="+")
    target_steps = models.JSONField(default=list)
    target_source = models.CharField(max_length=16, choices=TargetSource)
    target_claimed_until = models.DateTimeField(null=True, blank=True)
    target_attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(help_text="from then on training may take it")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(
        null=True, blank=True, help_text="a later gold label of the item took its place"
    )
    stale_at = models.DateTimeField(
        null=True, blank=True, help_text="its category's policy changed: offered for re-review"
    )
    used_at = models.DateTimeField(null=True, blank=True)

    objects = GoldLabels.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(withdrawn_at__isnull=True, superseded_at__isnull=True),
                name="one_gold_label_stands_an_item",
            ),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(withdrawn_at__isnull=True),
                name="gold_that_a_snapshot_used_is_not_withdrawn",
            ),
        ]
        indexes = [
            models.Index(
                fields=["settled_at"],
                condition=Q(withdrawn_at__isnull=True, superseded_at__isnull=True),
                name="gold_standing",
            ),
            models.Index(fields=["id"], condition=Q(stale_at__isnull=False), name="gold_stale"),
            models.Index(fields=["id"], condition=Q(target_source=TargetSource.PENDING), name="gold_without_target"),
        ]

    def __str__(self) -> str:
        return f"gold of {self.item_id}"


class HardSample(models.Model):
    """Gold that contradicts the prediction shown to the reviewer. `errors`: any of prompt, response, unparsed."""

    gold = models.OneToOneField(GoldLabel, on_delete=models.CASCADE, related_name="hard_sample")
    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, related_name="hard_samples")
    errors = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"hard sample {self.gold_id}"


class Appeal(models.Model):
    """An objection to a settled verdict. The item goes to a person who has not judged it before."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="appeals")
    gold = models.ForeignKey(
        GoldLabel, on_delete=models.PROTECT, related_name="appeals", help_text="the verdict appealed against"
    )
    outcome = models.ForeignKey(
        GoldLabel, null=True, blank=True, on_delete=models.PROTECT, related_name="settles_appeals"
    )
    state = models.CharField(max_length=16, choices=AppealState, default=AppealState.OPEN)
    reason = models.TextField()
    appellant = models.CharField(max_length=200, blank=True, help_text="who objects, as the platform names them")
    opened_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(state=AppealState.OPEN), name="one_appeal_is_open_an_item"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="appeal_has_a_reason"),
            models.CheckConstraint(condition=Q(state__in=AppealState.values), name="appeal_state_is_known"),
        ]
        indexes = [
            models.Index(fields=["opened_at"], condition=Q(state=AppealState.OPEN), name="appeal_open"),
            models.Index(fields=["-closed_at"], condition=~Q(state=AppealState.OPEN), name="appeal_closed"),
        ]

    def __str__(self) -> str:
        return f"appeal of {self.item_id}"
