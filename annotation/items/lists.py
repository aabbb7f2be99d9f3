"""Lists of items for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.db.models.functions import Left

from annotation.database.lists import long_texts
from annotation.items.search import ItemSearch
from annotation.models import Item, User
from annotation.queues.access import visible_items
from annotation.review.item_life import disguised_for
from annotation.review.lists import LEAD_LIST
from annotation.status import ItemStatus

PAGE_SIZE = 50
# maximum characters of a prompt in a list
BEGINNING = 400


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """One page of items, newest first.

    `older` and `newer` are the ids to continue from, or None at an end. `reached` is the id where the scan stopped
    before the page was full; there may be more items beyond it.
    """

    items: Sequence[Item]
    older: int | None
    newer: int | None
    reached: int | None = None


def failed_items() -> list[Item]:
    return list(
        Item.objects.filter(status=ItemStatus.PREDICTION_FAILED).defer(*long_texts(item="")).order_by("-id")[:LEAD_LIST]
    )


def items_page(search: ItemSearch, *, user: User, before: int | None = None, after: int | None = None) -> ItemsPage:
    """A page of the items that the user may see, by keyset paging on the id: the last is as fast as the first.

    Items have only the `beginning` of their prompt loaded.
    """
    items = _seen_by(user, search).select_related("queue", "prediction").annotate(beginning=Left("prompt", BEGINNING))
    items = items.defer("prompt", *long_texts(item="", prediction="prediction"))
    if after is not None:
        scanned = search.oldest_first(items, after=after, limit=PAGE_SIZE + 1)
        more, rows = len(scanned.rows) > PAGE_SIZE, scanned.rows[:PAGE_SIZE][::-1]
        return ItemsPage(
            rows, rows[-1].pk if rows else after + 1, rows[0].pk if more else scanned.reached, scanned.reached
        )
    scanned = search.newest_first(items, before=before, limit=PAGE_SIZE + 1)
    more, rows = len(scanned.rows) > PAGE_SIZE, scanned.rows[:PAGE_SIZE]
    newer = None if before is None else rows[0].pk if rows else before - 1
    return ItemsPage(rows, rows[-1].pk if more else scanned.reached, newer, scanned.reached)


def _seen_by(user: User, search: ItemSearch) -> QuerySet[Item]:
    """What the search finds for the user: hidden gold that they have not judged counts as ready for review."""
    if user.is_lead:
        return search.items()
    if search.status == ItemStatus.REVIEWED:
        return visible_items(user, search.items()).exclude(pk__in=disguised_for(user))
    if search.status == ItemStatus.READY:
        ready = Q(status=ItemStatus.READY) | Q(pk__in=disguised_for(user))
        return visible_items(user, search.without("status").items()).filter(ready)
    return visible_items(user, search.items())
