"""Who serves on which queue, which items go there, and how many wait."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.items import ReviewQueue
from annotation.models.people import User
from annotation.status import ItemStatus, Lane


class ReviewerGroup(models.Model):
    """People who work on the same queues; members are User.groups_of_review."""

    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class RoutingRule(models.Model):
    """Which queue an item goes to once it is predicted: of the enabled rules the first match wins, else the item stays.

    conditions: see services.routing. `lane` is empty where the item's own lane stays.
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
    """How many items of a queue stand where, as of `counted_at`: pages read this and never count a million rows."""

    queue = models.ForeignKey(ReviewQueue, on_delete=models.CASCADE, related_name="tallies")
    status = models.CharField(max_length=20, choices=ItemStatus)
    lane = models.CharField(max_length=16, choices=Lane)
    items = models.PositiveIntegerField()
    late = models.PositiveIntegerField(default=0, help_text="of these, how many have waited longer than the queue allows")
    oldest_at = models.DateTimeField(null=True, blank=True)
    by_age = models.JSONField(null=True, blank=True, help_text="how many came in within each of lateness.AGES, then older ones")
    counted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["queue", "status", "lane"], name="a_tally_is_kept_once"),
            models.CheckConstraint(condition=Q(status__in=ItemStatus.values), name="tally_status_is_known"),
        ]


class ReviewDay(models.Model):
    """How many standing reviews a day (UTC) has that is over: Insights reads this and never counts a year of reviews."""

    day = models.DateField(unique=True)
    accepted = models.PositiveIntegerField()
    corrected = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.day)
