"""The table of an insight, and helpers for shares and weeks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Insight:
    """A table. `columns` names the cells of each row; the first is the row's subject. Shares are 0 to 1.

    `chart` is line, bar or stacked; `drawn` has the positions of the charted columns, or () for no chart.
    """

    key: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    chart: str = "bar"
    drawn: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()  # columns that are shares

    @property
    def series(self) -> tuple[str, ...]:
        return tuple(self.columns[at] for at in self.drawn)


def days_since(since: datetime) -> list[date]:
    today = timezone.now().date()
    return [since.date() + timedelta(days=number) for number in range((today - since.date()).days + 1)]


def weeks_since(since: datetime) -> list[tuple[datetime, datetime]]:
    """The start and end of each week, from Monday.

    The first week starts at `since`. The last ends a week from now, to include gold that has yet to settle.
    """
    monday = datetime.combine(week_of(since), time(), UTC)
    number = (timezone.now() - monday).days // 7 + 1
    begins = [since, *(monday + timedelta(weeks=one) for one in range(1, number))]
    return list(zip(begins, [*begins[1:], timezone.now() + timedelta(weeks=1)], strict=True))


def week_of(at: datetime) -> date:
    """The Monday of the week."""
    return at.date() - timedelta(days=at.weekday())


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# newest reviews that a report reads; enough to estimate a share to within 0.01
MOST_REVIEWS = 20_000
