"""Looking through a long table by stretches of ids, so that a page is answered in time even where hardly anything fits
its filter.

What an index finds needs none of this. A rare category at a million items has none: reading them all takes seconds, at
ten million more than anybody waits. So a page looks as far as a moment allows, shows what it found, and says where the
next one goes on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

Row = TypeVar("Row")
STRETCH = 10_000  # ids of the first query; each one that follows takes twice as many
LOOKS_FOR_S = 1.0  # seconds from which on no further stretch is begun


@dataclass(frozen=True, slots=True)
class Looked(Generic[Row]):
    """`rows` in the order of the looking. `reached`: where it stopped before the page was full or all was looked at;
    None: it did not.
    """

    rows: list[Row]
    reached: int | None


def look_back(rows: QuerySet[Any, Row], *, before: int, limit: int) -> Looked[Row]:
    """The first `limit` rows with ids below `before`, the highest first. `reached` is the next one's `before`."""
    return _look(_back(rows.order_by("-pk"), before), limit)


def look_ahead(rows: QuerySet[Any, Row], *, after: int, up_to: int, limit: int) -> Looked[Row]:
    """The first `limit` rows with ids above `after`, the lowest first, to the highest one that there is. `reached`: the
    next `after`.
    """
    return _look(_ahead(rows.order_by("pk"), after, up_to), limit)


def _look(stretches: Iterator[tuple[QuerySet[Any, Row], int | None]], limit: int) -> Looked[Row]:
    """`stretches`: each with the id that the next one goes on from; None for the last."""
    found, began = list[Row](), time.monotonic()
    for rows, goes_on in stretches:
        found += rows[: limit - len(found)]
        if len(found) == limit:
            break
        if goes_on is not None and time.monotonic() - began >= LOOKS_FOR_S:
            return Looked(found, goes_on)
    return Looked(found, None)


def _back(rows: QuerySet[Any, Row], before: int) -> Iterator[tuple[QuerySet[Any, Row], int | None]]:
    size = STRETCH
    while before > 0:
        low = max(before - size, 0)
        yield rows.filter(pk__lt=before, pk__gte=low), low or None
        before, size = low, 2 * size


def _ahead(rows: QuerySet[Any, Row], after: int, up_to: int) -> Iterator[tuple[QuerySet[Any, Row], int | None]]:
    size = STRETCH
    while after < up_to:
        high = after + size
        yield rows.filter(pk__gt=after, pk__lte=high), high if high < up_to else None
        after, size = high, 2 * size
