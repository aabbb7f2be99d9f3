"""Items whose verdict is known beforehand, and appeals."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.guards import LABELS
from annotation.models.items import Item
from annotation.models.people import User
from annotation.models.reviews import GoldLabel
from annotation.status import AppealState


class KnownItem(models.Model):
    """A hidden gold item: served among others to score reviewers, and the serving guard, against a verdict that is known."""

    item = models.OneToOneField(Item, on_delete=models.PROTECT, related_name="known")
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True, help_text="why this is the right verdict; shown after the review where the queue says so")
    active = models.BooleanField(default=True)
    added_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"known verdict of {self.item_id}"


class Appeal(models.Model):
    """Somebody objects to a settled verdict: the item goes to a person who has not judged it."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="appeals")
    gold = models.ForeignKey(GoldLabel, on_delete=models.PROTECT, related_name="appeals", help_text="the verdict appealed against")
    outcome = models.ForeignKey(GoldLabel, null=True, blank=True, on_delete=models.PROTECT, related_name="settles_appeals")
    state = models.CharField(max_length=16, choices=AppealState, default=AppealState.OPEN)
    reason = models.TextField()
    appellant = models.CharField(max_length=200, blank=True, help_text="who objects, as the platform names them")
    opened_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item"], condition=Q(state=AppealState.OPEN), name="one_appeal_is_open_an_item"),
            models.CheckConstraint(condition=~Q(reason=""), name="appeal_has_a_reason"),
            models.CheckConstraint(condition=Q(state__in=AppealState.values), name="appeal_state_is_known"),
        ]
        indexes = [models.Index(fields=["opened_at"], condition=Q(state=AppealState.OPEN), name="appeal_open"),
                   models.Index(fields=["-closed_at"], condition=~Q(state=AppealState.OPEN), name="appeal_closed")]

    def __str__(self) -> str:
        return f"appeal of {self.item_id}"
