"""Reviewer groups, queues, routing rules, and counts of waiting items and reviews."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.people import User
from annotation.status import ItemStatus, Lane, QueueOrder, ReviewMode


class ReviewerGroup(models.Model):
    """Reviewers who work on the same queues. Its members are in User.groups_of_review."""

    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class ReviewQueue(models.Model):
    """A stream of items to review, and its settings."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    mode = models.CharField(max_length=16, choices=ReviewMode, default=ReviewMode.OPEN)
    reviews_per_item = models.PositiveSmallIntegerField(default=1)
    lease_minutes = models.PositiveSmallIntegerField(default=10)
    order = models.CharField(max_length=16, choices=QueueOrder, default=QueueOrder.RISK)
    open = models.BooleanField(default=True, help_text="a closed queue keeps its items and serves none")
    everybody = models.BooleanField(
        default=True, db_default=False, help_text="every reviewer works on it, not only its groups"
    )
    groups = models.ManyToManyField(
        "annotation.ReviewerGroup",
        blank=True,
        related_name="queues",
        help_text="whose members work on it if it is not for everybody",
    )
    filters = models.JSONField(default=dict, blank=True, help_text="what of it is served: see queues.access")
    blind_share = models.FloatField(default=0.0, help_text="share of leases, 0 to 1, that are blind whatever the mode")
    second_reviews_blind = models.BooleanField(
        default=False, help_text="hide the guard's judgement from the second and later reviews"
    )
    known_share = models.FloatField(default=0.0, help_text="share of leases, 0 to 1, that are hidden gold items")
    audit_share = models.FloatField(
        null=True, blank=True, help_text="share of items that always go to people; empty: the setting"
    )
    demands = models.JSONField(
        default=list, db_default=[], blank=True, help_text="of a harmful verdict: category, severity, reason"
    )
    fewest_seconds = models.PositiveSmallIntegerField(default=0, help_text="a faster decision is asked back; 0: never")
    rerouted_to = models.BigIntegerField(
        null=True, blank=True, help_text="waiting items above this id are still to be routed again"
    )
    sla_hours = models.PositiveIntegerField(null=True, blank=True, help_text="how long an item may wait")
    reopen_after_reports = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="so many new reports since the decision reopen an item; 0: none do"
    )
    blur_default = models.BooleanField(default=True)
    grey_default = models.BooleanField(default=False)
    mute_default = models.BooleanField(default=True)
    blur_categories = models.JSONField(
        default=list, blank=True, help_text="category codes whose media is blurred here for everybody"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(reviews_per_item__gte=1), name="queue_wants_at_least_one_review"),
            models.CheckConstraint(condition=Q(lease_minutes__gte=1), name="queue_lease_is_at_least_a_minute"),
            models.CheckConstraint(
                condition=Q(blind_share__gte=0, blind_share__lte=1), name="queue_blind_share_is_0_to_1"
            ),
            models.CheckConstraint(
                condition=Q(known_share__gte=0, known_share__lte=1), name="queue_known_share_is_0_to_1"
            ),
            models.CheckConstraint(condition=Q(order__in=QueueOrder.values), name="queue_order_is_known"),
        ]

    def __str__(self) -> str:
        return self.name


class RoutingRule(models.Model):
    """A rule that picks an item's queue after prediction. The first enabled match wins; without one the item stays.

    conditions: see queues.rules. An empty `lane` keeps the item's own lane.
    """

    name = models.CharField(max_length=100)
    position = models.PositiveIntegerField(default=0)
    conditions = models.JSONField(default=dict)
    queue = models.ForeignKey(ReviewQueue, on_delete=models.PROTECT, related_name="routing_rules")
    lane = models.CharField(max_length=16, choices=Lane, blank=True)
    enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class QueueTally(models.Model):
    """A queue's item counts as of `counted_at`. Pages read these instead of counting a million rows."""

    queue = models.ForeignKey(ReviewQueue, on_delete=models.CASCADE, related_name="tallies")
    status = models.CharField(max_length=20, choices=ItemStatus)
    lane = models.CharField(max_length=16, choices=Lane)
    items = models.PositiveIntegerField()
    late = models.PositiveIntegerField(
        default=0, help_text="of these, how many have waited longer than the queue allows"
    )
    oldest_at = models.DateTimeField(null=True, blank=True)
    by_age = models.JSONField(
        null=True, blank=True, help_text="how many came in within each of lateness.AGES, then older ones"
    )
    counted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["queue", "status", "lane"], name="a_tally_is_kept_once"),
            models.CheckConstraint(condition=Q(status__in=ItemStatus.values), name="tally_status_is_known"),
        ]


class ReviewDay(models.Model):
    """The number of standing reviews of a past day (UTC). Insights reads this instead of counting a year of reviews."""

    day = models.DateField(unique=True)
    accepted = models.PositiveIntegerField()
    corrected = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.day)
