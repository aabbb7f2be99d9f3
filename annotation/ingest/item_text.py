"""Writes what searches look into: with each new item, and in the background for items that have no text yet."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from annotation.database.search_text import search_text
from annotation.models import Item, ItemText, SearchFill

WINDOW = 2_000  # ids
AT_ONCE = 200  # items whose texts are in memory: of up to a megabyte each
SECONDS = 20.0  # of one call
# newest ids that are looked at for items without a text: a release before this one may still write some
NEWEST = 20_000
COLUMNS = ("pk", "prompt", "response", "messages", "url", "author__external_id", "author__name")


def text_of(
    prompt: str,
    response: str | None,
    messages: Sequence[Mapping[str, Any]] = (),
    *about: str | None,
) -> str:
    """The column of an item with these values; `about`: its address, and who wrote it."""
    return search_text(prompt, response, *about, *(str(message.get("text") or "") for message in messages))


def write_texts(item_ids: Sequence[int]) -> None:
    """Write the texts of these items. Those that have one keep it."""
    for start in range(0, len(item_ids), AT_ONCE):
        items = Item.objects.filter(pk__in=item_ids[start : start + AT_ONCE])
        ItemText.objects.bulk_create(
            [ItemText(item_id=pk, text=text_of(*values)) for pk, *values in items.values_list(*COLUMNS)],
            ignore_conflicts=True,
        )


def fill_some() -> bool:
    """Write missing texts for some seconds, newest items first. Returns True if there are more.

    Progress is stored after each window, so a killed process repeats at most one.
    """
    began = time.monotonic()
    _fill_newest()
    while (state := SearchFill.objects.order_by("pk").first()) is not None:
        if state.below <= 1:
            SearchFill.objects.filter(pk=state.pk).delete()
            return False
        low = max(state.below - WINDOW, 1)
        with transaction.atomic():
            write_texts(_without_text(low, state.below))
            SearchFill.objects.filter(pk=state.pk, below=state.below).update(below=low)
        if time.monotonic() - began > SECONDS:
            return True
    return False


def share_filled() -> float | None:
    """The share of ids whose items have their text, 0 to 1; None if all have."""
    state = SearchFill.objects.order_by("pk").first()
    return None if state is None else 1 - state.below / max(state.total, 1)


def _fill_newest() -> None:
    newest = Item.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    state = SearchFill.objects.order_by("pk").first()
    low = max(newest - NEWEST, state.total if state else 0, 0)
    with transaction.atomic():
        write_texts(_without_text(low, newest + 1))


def _without_text(low: int, high: int) -> list[int]:
    items = Item.objects.filter(pk__gte=low, pk__lt=high, text_for_search__isnull=True)
    return list(items.order_by("-pk").values_list("pk", flat=True))
