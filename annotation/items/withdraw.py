"""Withdrawing items: the sender takes an item back, and nobody is asked to judge it any more.

What was done on the item is kept: its reviews, its decision and its audit trail. New snapshots and the exports for
training leave it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from annotation.database import clock
from annotation.errors import ServiceError
from annotation.ingest.insert import rows_of
from annotation.models import ApiKey, Appeal, Assignment, Event, GoldLabel, Item, ShadowRequest, User
from annotation.models.claims import ITEM_CLAIMS
from annotation.outbound.item_messages import announce_withdrawn
from annotation.review.leases import end
from annotation.status import AppealState, AssignmentState, EventKind, ItemStatus

MAX_REASON_CHARACTERS = 1_000


class WithdrawalReasonTooLong(ServiceError):
    """The reason is longer than 1,000 characters. Shorten it."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The item after the call. `now` is False if it had been withdrawn before; `reason` is then the first one."""

    item: Item
    reason: str
    now: bool


def withdraw_item(*, item_id: int, by: User | None, key: ApiKey | None = None, reason: str = "") -> Withdrawal:
    """Take the item out of every queue. Idempotent: the first withdrawal counts.

    Leases on it end, and a worker that is predicting it stores nothing. Raises Item.DoesNotExist,
    WithdrawalReasonTooLong.
    """
    reason = reason.strip()
    if len(reason) > MAX_REASON_CHARACTERS:
        raise WithdrawalReasonTooLong
    with transaction.atomic():
        # in the order in which a submit takes these locks
        list(_active(item_id).select_for_update().order_by("pk").values_list("pk"))
        item = Item.objects.select_for_update(of=("self",)).select_related("queue").get(pk=item_id)
        if item.status == ItemStatus.WITHDRAWN:
            return Withdrawal(item, reason_of(item), now=False)
        _withdraw(item, by, key, reason)
    return Withdrawal(item, reason, now=True)


def withdraw_many(
    *, identities: Sequence[tuple[str, str]], by: User | None, key: ApiKey | None = None, reason: str = ""
) -> dict[tuple[str, str], Withdrawal]:
    """Withdraw items by (source, external_id), each in its own transaction. Unknown ones are missing in the result."""
    known = rows_of(identities, "pk")
    return {identity: withdraw_item(item_id=pk, by=by, key=key, reason=reason) for identity, (pk,) in known.items()}


def reason_of(item: Item) -> str:
    """The reason given when the item was withdrawn, or ""."""
    event = item.events.filter(kind=EventKind.WITHDRAWN).order_by("id").first()
    return "" if event is None else str(event.detail.get("reason", ""))


def _withdraw(item: Item, by: User | None, key: ApiKey | None, reason: str) -> None:
    now, was = clock.now(), item.status
    item.status, item.withdrawn_at, item.free_slots = ItemStatus.WITHDRAWN, now, 0
    ITEM_CLAIMS.clear(item)
    item.save(update_fields=["status", "withdrawn_at", "free_slots", *ITEM_CLAIMS.columns])
    for assignment in _active(item.pk):
        end(assignment, AssignmentState.EXPIRED, now)
    Appeal.objects.filter(item=item, state=AppealState.OPEN).update(state=AppealState.WITHDRAWN, closed_at=now)
    ShadowRequest.objects.filter(item=item).delete()
    detail = {"was": was} | ({"reason": reason} if reason else {}) | ({"key": key.prefix} if key is not None else {})
    event = Event.objects.create(kind=EventKind.WITHDRAWN, item=item, actor=by, at=now, detail=detail)
    announce_withdrawn(
        item=item,
        reason=reason,
        was=was,
        standing=GoldLabel.objects.standing().filter(item=item).select_related("policy_version__policy").first(),
        event=event,
    )


def _active(item_id: int) -> QuerySet[Assignment]:
    return Assignment.objects.filter(item=item_id, state=AssignmentState.ACTIVE)
