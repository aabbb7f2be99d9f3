"""Webhooks and the messages sent to them."""

import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.items import Item
from annotation.models.people import User
from annotation.status import DeliveryState


def new_webhook_secret() -> str:
    """Generate a secret in Standard Webhooks format: base64 after the prefix."""
    return f"whsec_{secrets.token_urlsafe(33).replace('-', '+').replace('_', '/')}"


class Webhook(models.Model):
    """A URL that is notified of `events`, signed with `secret`."""

    name = models.CharField(max_length=100)
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=64, default=new_webhook_secret)
    events = models.JSONField(default=list, help_text="names of annotation.status.WebhookEvent")
    active = models.BooleanField(default=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one webhook, created in its event's transaction. Sent at least once, in order for one item.

    `due_at` is the time of the next attempt or, during an attempt, the time its claim ends. A replay keeps `message`
    unchanged.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    message = models.UUIDField(default=uuid.uuid4)
    event = models.CharField(max_length=32)
    item = models.ForeignKey(
        Item,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        help_text="the item it is about: it waits for the earlier messages about it",
    )
    payload = models.JSONField()
    state = models.CharField(max_length=16, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, help_text="why the last try failed")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="delivery_state_is_known")
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state=DeliveryState.WAITING), name="delivery_due"),
            models.Index(fields=["webhook", "-id"], name="delivery_newest"),
            models.Index(
                fields=["webhook", "item", "id"],
                condition=Q(state=DeliveryState.WAITING, item__isnull=False),
                name="delivery_waits_for_earlier",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook_id}"
