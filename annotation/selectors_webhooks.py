"""Reading webhooks and what they were sent."""

from datetime import timedelta

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from annotation.models import Delivery, Webhook
from annotation.status import DeliveryState

PAGE = 50
LATELY = timedelta(days=1)


def webhooks_with_counts() -> QuerySet[Webhook]:
    """`waiting`, and of the last day `delivered` and `failed`."""
    lately = Q(deliveries__created_at__gte=timezone.now() - LATELY)
    return Webhook.objects.annotate(
        waiting=Count("deliveries", filter=Q(deliveries__state=DeliveryState.WAITING)),
        delivered=Count("deliveries", filter=lately & Q(deliveries__state=DeliveryState.DELIVERED)),
        failed=Count("deliveries", filter=lately & Q(deliveries__state=DeliveryState.FAILED))).order_by("name", "id")


def deliveries_of(webhook: Webhook, *, before: int | None = None) -> list[Delivery]:
    """Newest first; one more than a page, where there are more."""
    rows = webhook.deliveries.order_by("-id")
    return list((rows.filter(pk__lt=before) if before else rows)[:PAGE + 1])
