"""Scan a long table in windows of ids, so that a page answers in time even if almost no row matches its filter.

Filters with an index need none of this. A rare category among a million items has no index: scanning them all takes
seconds, and at ten million longer than anybody waits. So a page scans for a limited time, shows what it found, and
returns the id that the next page starts from.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

Row = TypeVar("Row")
STRETCH = 10_000  # ids of the first query; each one that follows takes twice as many
SCAN_S = 1.0  # no further window is begun after so many seconds


@dataclass(frozen=True, slots=True)
class Scanned(Generic[Row]):
    """`rows` in the order of the scan. `reached` is the id at which it ran out of time, None if it was complete."""

    rows: list[Row]
    reached: int | None


def scan_back(rows: QuerySet[Any, Row], *, before: int, limit: int) -> Scanned[Row]:
    """The first `limit` rows with ids below `before`, the highest first. `reached` is the next one's `before`."""
    return _scan(_back(rows.order_by("-pk"), before), limit)


def scan_ahead(rows: QuerySet[Any, Row], *, after: int, up_to: int, limit: int) -> Scanned[Row]:
    """The first `limit` rows with ids above `after`, the lowest first, to the highest one that there is. `reached`: the
    next `after`.
    """
    return _scan(_ahead(rows.order_by("pk"), after, up_to), limit)


def _scan(stretches: Iterator[tuple[QuerySet[Any, Row], int | None]], limit: int) -> Scanned[Row]:
    """`stretches`: each with the id that the next one goes on from; None for the last."""
    found, began = list[Row](), time.monotonic()
    for rows, goes_on in stretches:
        found += rows[: limit - len(found)]
        if len(found) == limit:
            break
        if goes_on is not None and time.monotonic() - began >= SCAN_S:
            return Scanned(found, goes_on)
    return Scanned(found, None)


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
