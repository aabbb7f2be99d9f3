"""Appeals: someone objects to a settled verdict, and a person who has not judged the item decides again.

The new gold supersedes the old, which stays in its snapshots. `review.gold` calls `close_appeal` and `reopen_appeal`.
"""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.database.kept_statements import Select
from annotation.errors import ItemWithdrawn, ServiceError
from annotation.models import Appeal, Event, GoldLabel, Item, User
from annotation.queues.reopen import reopen_item
from annotation.status import AppealState, EventKind, ItemStatus, Lane

# added to the priority, because someone is waiting for the answer
AHEAD_OF_ALL = 1_000.0
_OPEN = Select(lambda item: Appeal.objects.filter(item=item, state=AppealState.OPEN).select_related("gold"))


class NothingToAppeal(ServiceError):
    """This item has no settled verdict yet, so there is nothing to appeal against."""


class AppealOpenAlready(ServiceError):
    """An appeal of this item is open already."""


class AppealReasonMissing(ServiceError):
    """Say why the verdict should be looked at again."""


def open_appeal(*, item: Item, reason: str, opened_by: User | None = None, appellant: str = "") -> Appeal:
    """Return the item to the front of its queue.

    Raises NothingToAppeal, AppealOpenAlready, AppealReasonMissing, ItemWithdrawn.
    """
    reason, now = reason.strip(), timezone.now()
    if not reason:
        raise AppealReasonMissing
    try:
        with transaction.atomic():
            locked = Item.objects.select_for_update(of=("self",)).get(pk=item.pk)
            if locked.status == ItemStatus.WITHDRAWN:
                raise ItemWithdrawn(_("The sender has withdrawn this item, so its verdict cannot be appealed."))
            gold = GoldLabel.objects.standing().filter(item=locked).first()
            if gold is None or locked.status != ItemStatus.REVIEWED:
                raise (
                    AppealOpenAlready
                    if Appeal.objects.filter(item=item, state=AppealState.OPEN).exists()
                    else NothingToAppeal
                )
            appeal = Appeal.objects.create(
                item=locked, gold=gold, reason=reason, opened_by=opened_by, appellant=appellant, opened_at=now
            )
            reopen_item(item=locked, lane=Lane.APPEAL, ahead=AHEAD_OF_ALL)
            Event.objects.create(
                kind=EventKind.APPEALED,
                item=locked,
                actor=opened_by,
                at=now,
                detail={"appeal": appeal.pk, "reason": reason},
            )
    except IntegrityError:
        raise AppealOpenAlready from None
    return appeal


def close_appeal(*, item: Item, gold: GoldLabel, now: datetime) -> None:
    """Close the item's open appeal, if any, with this gold as the outcome."""
    for appeal in _OPEN.rows(item=item.pk):
        state = AppealState.UPHELD if verdict_of(appeal.gold) == verdict_of(gold) else AppealState.OVERTURNED
        Appeal.objects.filter(pk=appeal.pk).update(state=state, outcome=gold, closed_at=now)
        Event.objects.create(
            kind=EventKind.APPEAL_CLOSED, item=item, at=now, detail={"appeal": appeal.pk, "state": state}
        )


def reopen_appeal(*, gold: GoldLabel) -> None:
    """Reopen the appeal that this gold closed, because the gold was withdrawn."""
    Appeal.objects.filter(outcome=gold).update(state=AppealState.OPEN, outcome=None, closed_at=None)


def verdict_of(gold: GoldLabel) -> tuple[str | None, str | None, tuple[str, ...]]:
    return gold.prompt_label, gold.response_label, tuple(sorted(gold.categories))
