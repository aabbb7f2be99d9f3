"""Queries for webhooks and their deliveries."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from annotation.models import Delivery, Webhook
from annotation.status import DeliveryState

PAGE = 50
LATELY = timedelta(days=1)
MOST_MESSAGES = 1_000  # number of newest messages counted per webhook


@dataclass(frozen=True, slots=True)
class WebhookCounts:
    """Counts for a webhook's newest MOST_MESSAGES messages: waiting ones, and last day's delivered and failed ones."""

    webhook: Webhook
    waiting: int
    delivered: int
    failed: int


def webhooks_with_counts() -> list[WebhookCounts]:
    return [_counted(webhook) for webhook in Webhook.objects.order_by("name", "id")]


def deliveries_of(webhook: Webhook, *, before: int | None = None) -> list[Delivery]:
    """One page of deliveries, newest first, plus one more if there is a next page."""
    rows = webhook.deliveries.order_by("-id")
    return list((rows.filter(pk__lt=before) if before else rows)[: PAGE + 1])


def _counted(webhook: Webhook) -> WebhookCounts:
    since, states = timezone.now() - LATELY, Counter[str]()
    for state, at in webhook.deliveries.order_by("-id").values_list("state", "created_at")[:MOST_MESSAGES]:
        states[state] += state == DeliveryState.WAITING or at >= since
    return WebhookCounts(
        webhook, states[DeliveryState.WAITING], states[DeliveryState.DELIVERED], states[DeliveryState.FAILED]
    )
