"""An insight is a table; and the shares and weeks that its cells are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Insight:
    """A table: `columns` name the cells of each row, the first is what the row is about. Shares are 0 to 1.

    `chart` is line, bar or stacked; `drawn` are the positions of the columns that it draws, () for a table without a
    picture.
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
    """Begin and end of each from Monday on, the first and the last one cut; the last takes in what has still to
    settle.
    """
    monday = datetime.combine(week_of(since), time(), UTC)
    number = (timezone.now() - monday).days // 7 + 1
    begins = [since, *(monday + timedelta(weeks=one) for one in range(1, number))]
    return list(zip(begins, [*begins[1:], timezone.now() + timedelta(weeks=1)], strict=True))


def week_of(at: datetime) -> date:
    """The Monday of it."""
    return at.date() - timedelta(days=at.weekday())


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# newest reviews that a report reads: a share of so many is right to a hundredth
MOST_REVIEWS = 20_000
