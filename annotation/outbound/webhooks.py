"""Webhook messages: rows written with their event, and sent until the receiver accepts them.

Signed as required by the Standard Webhooks specification: HMAC-SHA256 over "<id>.<timestamp>.<body>".
"""

import base64
import hashlib
import hmac
import logging
import random
import time
from datetime import timedelta
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from annotation import prometheus
from annotation.database import clock
from annotation.database.kept_statements import Select
from annotation.database.storable import cleaned
from annotation.errors import ServiceError
from annotation.models import Delivery, Event, Item, User, Webhook
from annotation.models.claims import DELIVERY_CLAIMS
from annotation.outbound.safe_requests import Answer, NotDelivered, check_url, post
from annotation.status import DeliveryState, EventKind, WebhookEvent

logger = logging.getLogger(__name__)
# pauses between attempts; after about a day and a quarter, delivery has failed
PAUSES_S = (10, 60, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
JITTER = 0.2  # share of a pause, plus or minus
# maximum age that a receiver should accept for a message's timestamp
TOLERANCE_S = 300
_ACTIVE = Select(lambda: Webhook.objects.filter(active=True))


class WebhookNotUsable(ServiceError):
    """This webhook cannot be saved."""


def announce(*, event: WebhookEvent, payload: dict[str, Any], item: Item | None = None) -> None:
    """Queue an event's messages. Call it in the event's transaction, so that both are stored or neither.

    Messages about one item are sent in the order of these calls, which must therefore hold the lock on its row.
    """
    subscribed = [hook for hook in _ACTIVE.rows() if event.value in hook.events]
    if subscribed:
        now = clock.now()
        Delivery.objects.bulk_create(
            [
                Delivery(webhook=hook, event=event.value, item=item, payload=payload, created_at=now, due_at=now)
                for hook in subscribed
            ]
        )


def deliver_due(*, limit: int = 50, seconds: float = 20.0) -> bool:
    """Send due messages for about `seconds`. Returns False if none is left.

    The time is limited so that unresponsive addresses do not hold up the worker's other work.
    """
    deadline = time.monotonic() + seconds
    while due := _due(limit):
        for delivery in due:
            if time.monotonic() > deadline:
                return True
            _deliver(delivery)
            limit -= 1
        if limit <= 0:
            return bool(_due(1))
    return False


def _due(limit: int) -> list[Delivery]:
    """The next due messages.

    One about an item waits until every earlier one about it to the same webhook has been accepted or has failed.
    """
    earlier = Delivery.objects.filter(
        webhook=OuterRef("webhook"), item=OuterRef("item"), id__lt=OuterRef("id"), state=DeliveryState.WAITING
    )
    due = Delivery.objects.filter(DELIVERY_CLAIMS.free(), Q(item__isnull=True) | ~Exists(earlier))
    return list(due.order_by("due_at", "id")[:limit])


def replay(*, delivery: Delivery, actor: User) -> Delivery:
    """Send a message again under its original id, so that a receiver can recognise the duplicate."""
    with transaction.atomic():
        again = Delivery.objects.create(
            webhook=delivery.webhook,
            message=delivery.message,
            event=delivery.event,
            item_id=delivery.item_id,
            payload=delivery.payload,
            due_at=clock.now(),
        )
        Event.objects.create(
            kind=EventKind.WEBHOOK_REPLAYED,
            actor=actor,
            detail={"delivery": delivery.pk, "webhook": delivery.webhook.name},
        )
    return again


def save_webhook(*, webhook: Webhook, actor: User) -> Webhook:
    """Store a new or changed webhook. Raises AddressNotAllowed, WebhookNotUsable."""
    check_url(webhook.url)
    if not webhook.events or set(webhook.events) - set(WebhookEvent.values):
        raise WebhookNotUsable(_("Choose at least one event."))
    if webhook._state.adding:
        webhook.created_by = actor
    with transaction.atomic():
        webhook.save()
        Event.objects.create(
            kind=EventKind.WEBHOOK_CHANGED,
            actor=actor,
            detail={"webhook": webhook.name, "url": webhook.url, "events": webhook.events, "active": webhook.active},
        )
    return webhook


def delete_webhook(*, webhook: Webhook, actor: User) -> None:
    """Delete a webhook and all its messages, sent or not."""
    with transaction.atomic():
        Event.objects.create(
            kind=EventKind.WEBHOOK_CHANGED, actor=actor, detail={"webhook": webhook.name, "deleted": True}
        )
        webhook.delete()


def signed_headers(*, secret: str, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "guardapp-webhooks",
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature(secret, message, timestamp, body)}",
    }


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()


def body_of(delivery: Delivery) -> bytes:
    return orjson.dumps(
        {"type": delivery.event, "timestamp": delivery.created_at, "data": delivery.payload}, option=orjson.OPT_UTC_Z
    )


def _deliver(delivery: Delivery) -> None:
    """Send a message, unless another worker is sending it."""
    claim = DELIVERY_CLAIMS.take_row(delivery)
    if claim is None:
        return
    mine = claim.held()
    webhook = Webhook.objects.get(pk=delivery.webhook_id)
    if not webhook.active:
        mine.update(state=DeliveryState.FAILED, error="The webhook is switched off.", ended_at=clock.now())
        return
    message, now = str(delivery.message), int(clock.now().timestamp())
    answer: Answer | None = None
    try:
        body = body_of(delivery)
        headers = signed_headers(secret=webhook.secret, message=message, timestamp=now, body=body)
        answer = post(webhook.url, body, headers)
        error = "" if 200 <= answer.status < 300 else f"It answered {answer.status}: {answer.text}"[:300]
    except NotDelivered as problem:
        error = str(problem)
    except ServiceError as problem:
        # the address is not allowed, so a retry would fail too
        mine.update(state=DeliveryState.FAILED, error=str(problem)[:300], ended_at=clock.now())
        return
    except Exception as problem:
        # whatever it is, it counts as a try: else the message would be sent again and again without a pause
        logger.exception("Message %s to %s", message, webhook.name)
        error = f"{type(problem).__name__}: {problem}"[:300]
    error = cleaned(error)
    prometheus.MESSAGES.labels("refused" if error else "taken").inc()
    mine.update(status_code=answer.status if answer else None, **_outcome(error, delivery.attempts + 1))


def _outcome(error: str, attempts: int) -> dict[str, Any]:
    now = clock.now()
    if not error:
        return {"state": DeliveryState.DELIVERED, "error": "", "ended_at": now}
    if attempts > len(PAUSES_S):
        return {"state": DeliveryState.FAILED, "error": error, "ended_at": now}
    pause = PAUSES_S[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return {"error": error, "due_at": now + timedelta(seconds=pause)}
