"""Hidden gold: settled items mixed in with the others to score reviewers and the serving guard.

A lease on hidden gold takes no slot, and its review settles nothing.
"""

from collections.abc import Iterable
from random import SystemRandom

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from annotation.errors import ServiceError
from annotation.models import Assignment, GoldLabel, HiddenGold, Item, ReviewQueue, User
from annotation.status import REOPENABLE, ItemStatus

# newest items that each draw chooses from
DRAWN_FROM = 200

# so that nobody can predict the next item
_random = SystemRandom()


class NotSettled(ServiceError):
    """Only an item with a settled verdict can be hidden gold."""


class HiddenGoldAlready(ServiceError):
    """This item is hidden gold already."""


def make_hidden_gold(*, item: Item, by: User, note: str = "") -> HiddenGold:
    """Serve a settled item as hidden gold, with its standing gold as the expected verdict.

    Raises NotSettled, HiddenGoldAlready.
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
    retired = HiddenGold.objects.filter(item=item, active=False)
    if retired.update(**values):
        return HiddenGold.objects.get(item=item)
    try:
        with transaction.atomic():
            return HiddenGold.objects.create(item=item, **values)
    except IntegrityError:
        raise HiddenGoldAlready from None


def retire_hidden_gold(*, hidden_gold: HiddenGold) -> None:
    """Stop serving this hidden gold; existing scores remain."""
    HiddenGold.objects.filter(pk=hidden_gold.pk).update(active=False)


def draw_hidden_gold(*, queue: ReviewQueue, reviewer: User) -> HiddenGold | None:
    """For the queue's share of leases, random hidden gold that this person has not judged.

    None means that the queue's next item is served instead.
    """
    if _random.random() >= queue.known_share:
        return None
    mine = Assignment.objects.filter(item=OuterRef("item"), reviewer=reviewer).exclude(state__in=REOPENABLE)
    fresh: Iterable[HiddenGold] = (
        HiddenGold.objects.filter(~Exists(mine), active=True, item__queue=queue, item__status=ItemStatus.REVIEWED)
        .select_related("item__prediction", "item__queue")
        .order_by("-id")[:DRAWN_FROM]
    )
    choices = list(fresh)
    return _random.choice(choices) if choices else None


def is_right(hidden_gold: HiddenGold, prompt_label: str | None, response_label: str | None) -> bool:
    """Whether the labels match hidden gold in every task that it has a label for."""
    return (hidden_gold.prompt_label in (None, prompt_label)) and (hidden_gold.response_label in (None, response_label))
