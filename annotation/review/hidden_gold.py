"""Hidden gold: items whose verdict is known, served among the others to score reviewers and the serving guard.

Such an item has been settled before; a lease on it takes no slot and its review settles nothing.
"""

from collections.abc import Iterable
from random import SystemRandom

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from annotation.errors import ServiceError
from annotation.models import Assignment, GoldLabel, Item, KnownItem, ReviewQueue, User
from annotation.status import REOPENABLE, ItemStatus

LOOKED_AT = 200  # known items that one draw chooses among

_random = SystemRandom()  # nobody shall guess which item comes next


class NotSettled(ServiceError):
    """Only an item with a settled verdict can be hidden gold."""


class KnownAlready(ServiceError):
    """This item is hidden gold already."""


def make_known(*, item: Item, by: User, note: str = "") -> KnownItem:
    """Serve a settled item as hidden gold from now on; its standing gold is the verdict. Raises NotSettled,
    KnownAlready.
    """
    gold = GoldLabel.objects.standing().filter(item=item).first()
    if gold is None or item.status != ItemStatus.REVIEWED:
        raise NotSettled
    values = {
        "prompt_label": gold.prompt_label,
        "response_label": gold.response_label,
        "categories": gold.categories,
        "note": note.strip(),
        "active": True,
        "added_by": by,
    }
    retired = KnownItem.objects.filter(item=item, active=False)
    if retired.update(**values):
        return KnownItem.objects.get(item=item)
    try:
        with transaction.atomic():
            return KnownItem.objects.create(item=item, **values)
    except IntegrityError:
        raise KnownAlready from None


def retire_known(*, known: KnownItem) -> None:
    """Serve it no more; the scores it gave stay."""
    KnownItem.objects.filter(pk=known.pk).update(active=False)


def draw_known(*, queue: ReviewQueue, reviewer: User) -> KnownItem | None:
    """A known item that this person has not judged, for the queue's share of leases; None: serve the queue's next
    instead.
    """
    if _random.random() >= queue.known_share:
        return None
    mine = Assignment.objects.filter(item=OuterRef("item"), reviewer=reviewer).exclude(state__in=REOPENABLE)
    fresh: Iterable[KnownItem] = (
        KnownItem.objects.filter(~Exists(mine), active=True, item__queue=queue, item__status=ItemStatus.REVIEWED)
        .select_related("item__prediction", "item__queue")
        .order_by("-id")[:LOOKED_AT]
    )
    choices = list(fresh)
    return _random.choice(choices) if choices else None


def is_right(known: KnownItem, prompt_label: str | None, response_label: str | None) -> bool:
    """Every task that has a known label is answered with it."""
    return (known.prompt_label in (None, prompt_label)) and (known.response_label in (None, response_label))
