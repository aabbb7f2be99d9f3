"""Presence, exposure and regeneration: what happens around a review."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.guards import LABELS, Prediction
from annotation.models.items import Item
from annotation.models.people import User
from annotation.status import RegenerationState


class Presence(models.Model):
    """A person who has an item on screen. Rows older than a minute are ignored."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="presences")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="presences")
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "user"], name="one_presence_an_item_and_person")]


class Exposure(models.Model):
    """How long a person saw an item's evidence unblurred on one day (UTC), and the item's severity."""

    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="exposures")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="exposures")
    day = models.DateField()
    seconds = models.FloatField(default=0.0, help_text="unblurred")
    severity = models.PositiveSmallIntegerField(default=0, help_text="0 to 3")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reviewer", "item", "day"], name="one_exposure_a_person_item_and_day")
        ]
        indexes = [
            models.Index(fields=["reviewer", "day"], name="exposure_of_a_day"),
            models.Index(fields=["day"], name="exposure_by_day"),
        ]


class Regeneration(models.Model):
    """A reviewer's request to keep the first steps and have the guard rewrite the rest.

    `steps` and the labels hold the guard's answer.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="regenerations")
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="regenerations")
    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="regenerations")
    kept = models.JSONField(help_text="the steps before the new ones, as the person left them")
    state = models.CharField(max_length=16, choices=RegenerationState, default=RegenerationState.QUEUED)
    completion = models.TextField(blank=True)
    steps = models.JSONField(default=list, help_text="all steps, the kept ones first")
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    error = models.TextField(blank=True)
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RegenerationState.values), name="regeneration_state_is_known")
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(state__in=[RegenerationState.QUEUED, RegenerationState.RUNNING]),
                name="regeneration_waiting",
            )
        ]
