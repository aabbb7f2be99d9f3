"""Scan a long table in windows of ids, so that a page responds in time even if almost no row matches its filter.

Filters with an index do not need this. A rare category among a million items has no index: scanning them all takes
seconds, and at ten million longer than anyone will wait. So a page scans for a limited time, shows the rows found so
far, and returns the id where the next page starts.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

Row = TypeVar("Row")
# ids covered by the first query; each later query covers twice as many
STRETCH = 10_000
# no further window is started after this many seconds
SCAN_S = 1.0


@dataclass(frozen=True, slots=True)
class Scanned(Generic[Row]):
    """`rows` in scan order. `reached` is the id where time ran out, None if the scan was complete."""

    rows: list[Row]
    reached: int | None


def scan_back(rows: QuerySet[Any, Row], *, before: int, limit: int) -> Scanned[Row]:
    """The first `limit` rows with ids below `before`, highest first. `reached` is the next page's `before`."""
    return _scan(_back(rows.order_by("-pk"), before), limit)


def scan_ahead(rows: QuerySet[Any, Row], *, after: int, up_to: int, limit: int) -> Scanned[Row]:
    """The first `limit` rows with ids above `after`, lowest first, up to the highest existing id.

    `reached` is the next page's `after`.
    """
    return _scan(_ahead(rows.order_by("pk"), after, up_to), limit)


def _scan(stretches: Iterator[tuple[QuerySet[Any, Row], int | None]], limit: int) -> Scanned[Row]:
    """Scan `stretches`, each with the id where the next one starts; None for the last."""
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
