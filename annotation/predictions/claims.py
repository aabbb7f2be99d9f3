"""The inference worker's hold on items: taken by a conditional update, renewed, given back, and fenced by its token.

A worker that dies leaves its items claimed; when the claim runs out they come back. An item has MAX_ATTEMPTS claims,
then it is PREDICTION_FAILED, where people see it. Each attempt holds fewer items at once, the last one only the item
itself: an item that kills its worker cannot use up its neighbours' attempts.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet

from annotation.database import clock
from annotation.errors import ServiceError
from annotation.models import Event, Item, User
from annotation.status import EventKind, ItemStatus

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
# of an item that waits for a disk or a store: the others are not held up behind it
REST = timedelta(seconds=10)
SHRINK = 8  # each attempt holds this many times fewer items
WORKER_DIED = "worker_died"
LONGEST_HOLD_S = 3_600.0  # a worker that is silent for longer hangs: its claim is let go


class ItemHasNotFailed(ServiceError):
    """Only an item whose prediction failed can be sent back to the guard."""


class Holding(Protocol):
    """What a worker holds; `rows` are those that it still holds."""

    def rows(self) -> QuerySet[Any]: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """Items that this worker holds. Another holder of one has another token."""

    token: UUID
    items: tuple[Item, ...]

    def rows(self) -> QuerySet[Item]:
        """Those that are still held."""
        return Item.objects.filter(claim_token=self.token, status=ItemStatus.PREDICTING)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item could not be predicted: a stable code and the message that people read."""

    code: str
    message: str
    permanent: bool = False  # trying again would end the same
    # it says nothing about the item: the attempt does not count, and the item rests for REST
    blameless: bool = False


def claim_pending(*, limit: int) -> Claim:
    """Hold the next pending items, highest priority first; none where nothing is pending."""
    token, now = uuid4(), clock.now()
    rested = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    pending = Item.objects.filter(rested, status=ItemStatus.PENDING).order_by(F("priority").desc(), "id")
    with transaction.atomic():
        first = pending.select_for_update(skip_locked=True).first()
        if first is None:
            return Claim(token, ())
        alike = pending.filter(attempts=first.attempts).select_for_update(skip_locked=True)
        ids = list(alike.values_list("pk", flat=True)[: _size(first.attempts, limit)])
        Item.objects.filter(pk__in=ids, status=ItemStatus.PENDING).update(
            status=ItemStatus.PREDICTING, claim_token=token, claimed_until=_until(now), attempts=F("attempts") + 1
        )
    held = Item.objects.filter(claim_token=token, status=ItemStatus.PREDICTING).order_by(F("priority").desc(), "id")
    return Claim(token, tuple(held))


def renew(*, claim: Holding) -> None:
    claim.rows().update(claimed_until=_until(clock.now()))


@contextmanager
def kept(claim: Holding) -> Iterator[None]:
    """Renew the claim from a thread while the body runs: one answer of a large guard may take longer than a claim
    holds.
    """
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(claim, done), name="claim-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _keep(claim: Holding, done: threading.Event) -> None:
    deadline = time.monotonic() + LONGEST_HOLD_S
    try:
        while not done.wait(settings.CLAIM_SECONDS / 3) and time.monotonic() < deadline:
            try:
                renew(claim=claim)
            except DatabaseError as error:
                logger.warning("A claim could not be renewed (%s); it is tried again", error)
    finally:
        connection.close()


def give_back(*, claim: Claim, failures: dict[int, Failure]) -> int:
    """End the claim on items that failed, by item id. Returns how many are PREDICTION_FAILED now; the others wait
    again.
    """
    now = clock.now()
    with transaction.atomic():
        held = list(claim.rows().filter(pk__in=failures).select_for_update())
        for item in held:
            failure = failures[item.pk]
            item.attempts -= failure.blameless
            final = failure.permanent or item.attempts >= MAX_ATTEMPTS
            item.status = ItemStatus.PREDICTION_FAILED if final else ItemStatus.PENDING
            item.claim_token, item.claimed_until = None, now + REST if failure.blameless and not final else None
            item.error_code, item.error_message = failure.code, failure.message
        Item.objects.bulk_update(
            held, ["status", "attempts", "claim_token", "claimed_until", "error_code", "error_message"]
        )
        return _record_failed([item for item in held if item.status == ItemStatus.PREDICTION_FAILED], now)


def release_stale_claims() -> int:
    """Bring back items whose worker died or stalled. Returns how many claims were ended."""
    now = clock.now()
    with transaction.atomic():
        stale = Item.objects.filter(status=ItemStatus.PREDICTING, claimed_until__lt=now)
        worn_out = list(stale.filter(attempts__gte=MAX_ATTEMPTS).select_for_update(skip_locked=True))
        released = stale.filter(attempts__lt=MAX_ATTEMPTS).update(
            status=ItemStatus.PENDING, claim_token=None, claimed_until=None
        )
        for item in worn_out:
            item.error_code = WORKER_DIED
            item.error_message = f"The worker stopped or stalled on this item {item.attempts} times."
        Item.objects.filter(pk__in=[item.pk for item in worn_out]).update(
            status=ItemStatus.PREDICTION_FAILED,
            claim_token=None,
            claimed_until=None,
            error_code=WORKER_DIED,
            error_message=f"The worker stopped or stalled on this item {MAX_ATTEMPTS} times.",
        )
        return released + _record_failed(worn_out, now)


def retry_failed(*, item: Item, actor: User) -> Item:
    """Send a failed item back to the guard with fresh attempts. Raises ItemHasNotFailed."""
    with transaction.atomic():
        failed = Item.objects.filter(pk=item.pk, status=ItemStatus.PREDICTION_FAILED)
        if failed.update(status=ItemStatus.PENDING, attempts=0, error_code="", error_message="") != 1:
            raise ItemHasNotFailed
        Event.objects.create(kind=EventKind.RETRIED, actor=actor, item=item)
    item.refresh_from_db()
    return item


def _record_failed(items: list[Item], now: datetime) -> int:
    Event.objects.bulk_create(
        [
            Event(
                at=now,
                kind=EventKind.PREDICTION_FAILED,
                item=item,
                detail={"code": item.error_code, "attempts": item.attempts},
            )
            for item in items
        ]
    )
    return len(items)


def _size(attempts: int, limit: int) -> int:
    return 1 if attempts + 1 >= MAX_ATTEMPTS else max(1, limit // SHRINK**attempts)


def _until(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.CLAIM_SECONDS)
