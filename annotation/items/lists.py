"""Lists of items for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models.functions import Left

from annotation.database.lists import long_texts
from annotation.items.search import ItemSearch
from annotation.models import Item
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


def items_page(search: ItemSearch, *, before: int | None = None, after: int | None = None) -> ItemsPage:
    """A page of items by keyset paging on the id, so the last page is as fast as the first.

    Items have only the `beginning` of their prompt loaded.
    """
    items = search.items().select_related("queue", "prediction").annotate(beginning=Left("prompt", BEGINNING))
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
