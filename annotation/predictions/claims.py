"""The inference worker's claims on items, and the handling of items that could not be predicted.

ITEM_CLAIMS limits the attempts; after the last one, an item is PREDICTION_FAILED and shown as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from annotation.database import clock
from annotation.database.claims import Claim
from annotation.errors import ServiceError
from annotation.models import Event, Item, User
from annotation.models.claims import ITEM_CLAIMS
from annotation.queues.rules import enabled_rules, place
from annotation.status import TOO_LONG, EventKind, ItemStatus

# delay before retrying an item after a disk or store failure, so that it does not hold up other items
REST = timedelta(seconds=10)
WORKER_DIED = "worker_died"
APART_BATCH = 4  # long items claimed at once while no others wait
STORED_FIELDS = [
    "status",
    "queue",
    "lane",
    "priority",
    "severity",
    "free_slots",
    "prediction",
    *ITEM_CLAIMS.columns,
    "apart",
    "error_code",
    "error_message",
]


class ItemHasNotFailed(ServiceError):
    """Only an item whose prediction failed can be sent back to the guard."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item could not be predicted: a stable code and a message for users."""

    code: str
    message: str
    permanent: bool = False  # retrying would give the same result
    # not caused by the item: the attempt does not count, and the item is retried after REST
    blameless: bool = False


def claim_pending(*, limit: int) -> Claim[Item]:
    """Claim the next pending items, highest priority first; those apart if there are no others.

    The claim is empty if nothing is pending.
    """
    others = _next(~Q(apart=True), limit)
    return others if others.rows else claim_apart(limit=min(limit, APART_BATCH))


def claim_apart(*, limit: int) -> Claim[Item]:
    """Claim the next items that are long, or one that an attempt failed on."""
    return _next(Q(apart=True), limit)


def _next(which: Q, limit: int) -> Claim[Item]:
    free = Item.objects.filter(ITEM_CLAIMS.free(), which)
    return ITEM_CLAIMS.take(free.order_by(F("priority").desc(), "id"), limit=limit)


def set_apart(*, claim: Claim[Item], items: Sequence[Item]) -> int:
    """Give back items that are long, before an attempt: they must not hold the others. Returns how many."""
    return (
        claim.held(items).update(status=ItemStatus.PENDING, apart=True, attempts=F("attempts") - 1, **ITEM_CLAIMS.freed)
        if items
        else 0
    )


def give_back(*, claim: Claim[Item], failures: dict[int, Failure]) -> int:
    """Release failed items, given by item id. Those with attempts left are pending again.

    Returns the number that are now PREDICTION_FAILED.
    """
    now = clock.now()
    with transaction.atomic():
        held = list(claim.held().filter(pk__in=failures).select_for_update())
        for item in held:
            failure = failures[item.pk]
            item.attempts -= failure.blameless
            final = failure.permanent or item.attempts >= ITEM_CLAIMS.most_attempts
            item.status = ItemStatus.PREDICTION_FAILED if final else ItemStatus.PENDING
            ITEM_CLAIMS.clear(item, until=now + REST if failure.blameless and not final else None)
            item.apart = item.apart if failure.blameless else True
            item.error_code, item.error_message = failure.code, failure.message
        Item.objects.bulk_update(
            held, ["status", "attempts", *ITEM_CLAIMS.columns, "apart", "error_code", "error_message"]
        )
        return _record_failed([item for item in held if item.status == ItemStatus.PREDICTION_FAILED], now)


def give_to_people(*, claim: Claim[Item], too_long: dict[int, str]) -> int:
    """Make items that are too long for the guard ready for review, marked as such; `too_long` holds why, by item id.

    Returns how many.
    """
    if not too_long:
        return 0
    now = clock.now()
    with transaction.atomic():
        held = list(claim.held().filter(pk__in=too_long).select_for_update(of=("self",)).select_related("queue"))
        rules = enabled_rules()
        for item in held:
            item.status, item.prediction, item.apart = ItemStatus.READY, None, None
            place(item=item, prediction=None, version="", rules=rules)
            ITEM_CLAIMS.clear(item)
            item.error_code, item.error_message = TOO_LONG, too_long[item.pk]
        Item.objects.bulk_update(held, STORED_FIELDS)
        Event.objects.bulk_create(
            [
                Event(at=now, kind=EventKind.PREDICTED, item=item, detail={"code": TOO_LONG, "lane": item.lane})
                for item in held
            ]
        )
    return len(held)


def release_stale_claims() -> int:
    """Release items whose worker died or stalled. Returns the number of claims ended."""
    now = clock.now()
    with transaction.atomic():
        stale = Item.objects.filter(ITEM_CLAIMS.run_out(now))
        most = ITEM_CLAIMS.most_attempts
        worn_out = list(stale.filter(attempts__gte=most).select_for_update(skip_locked=True))
        released = stale.filter(attempts__lt=most).update(status=ItemStatus.PENDING, apart=True, **ITEM_CLAIMS.freed)
        for item in worn_out:
            item.error_code = WORKER_DIED
            item.error_message = f"The worker stopped or stalled on this item {item.attempts} times."
        Item.objects.filter(pk__in=[item.pk for item in worn_out]).update(
            status=ItemStatus.PREDICTION_FAILED,
            error_code=WORKER_DIED,
            error_message=f"The worker stopped or stalled on this item {most} times.",
            **ITEM_CLAIMS.freed,
        )
        return released + _record_failed(worn_out, now)


def retry_failed(*, item: Item, actor: User) -> Item:
    """Return a failed item to the guard and reset its attempts. Raises ItemHasNotFailed."""
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
