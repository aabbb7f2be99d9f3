"""Flow and care: reviews per day, backlog, pace of reviewers, and exposure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.insights.days import reviews_by_day
from annotation.insights.reviewers import paces
from annotation.insights.table import Insight, days_since
from annotation.models import Exposure, QueueTally, ReviewDay, ReviewQueue
from annotation.queues.counts import counted_queues, tally_is_enough
from annotation.queues.overdue import WAITING

AGE_NAMES = (
    gettext_noop("under 1 hour"),
    gettext_noop("under 4 hours"),
    gettext_noop("under 1 day"),
    gettext_noop("under 3 days"),
    gettext_noop("under 1 week"),
    gettext_noop("older"),
)  # of lateness.AGES
MOST_QUEUES = 6  # colours in one chart


def throughput(since: datetime) -> Insight:
    """Reviews per day. Past days are already counted; the rest are counted from the reviews."""
    found = {
        row.day: (row.accepted, row.corrected)
        for row in ReviewDay.objects.filter(day__gte=since.date()).order_by("day")
    }
    days = days_since(since)
    found |= reviews_by_day(max(found) + timedelta(days=1) if found else days[0])
    return Insight(
        "throughput",
        _("Reviews a day"),
        _("Accepted and corrected judgements of the guard, by day (UTC)."),
        (_("day"), _("accepted"), _("corrected")),
        [(str(day), *found.get(day, (0, 0))) for day in days],
        "stacked",
        (1, 2),
    )


def backlog(_since: datetime) -> Insight:
    """The items that are waiting for people now, by age and queue."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for queue, by_age in _waiting_by_age():
        for name, number in zip(AGE_NAMES, by_age, strict=True):
            counts[name][queue] += number
    drawn, rest = _fullest(list(counts.values()))
    columns = (_("age"), *drawn, *([_("Other")] if rest else []), *rest)
    rows: list[tuple[str | int, ...]] = [
        (
            _(name),
            *(counts[name][queue] for queue in drawn),
            *([sum(counts[name][queue] for queue in rest)] if rest else []),
            *(counts[name][queue] for queue in rest),
        )
        for name in AGE_NAMES
    ]
    return Insight(
        "backlog",
        _("Waiting items by age"),
        _("How long items have waited since they came in, by queue."),
        columns,
        rows,
        "stacked",
        tuple(range(1, len(drawn) + bool(rest) + 1)),
    )


def _waiting_by_age() -> Iterable[tuple[str, list[int]]]:
    """Each queue's number of items by age. Large numbers are read from the tally that a worker refreshes."""
    tallies = QueueTally.objects.all() if tally_is_enough() else counted_queues(timezone.now())
    names = dict(ReviewQueue.objects.values_list("pk", "name"))
    return [(names[row.queue_id], row.by_age) for row in tallies if row.status in WAITING and row.by_age]


def _fullest(counts: Sequence[Counter[str]]) -> tuple[list[str], list[str]]:
    """The queues with their own colour, fullest first, and those that share one."""
    queues = [queue for queue, _number in sum(counts, Counter[str]()).most_common()]
    most = MOST_QUEUES if len(queues) <= MOST_QUEUES else MOST_QUEUES - 1
    return queues[:most], queues[most:]


def pace(since: datetime) -> Insight:
    return Insight(
        "pace",
        _("Pace, skips and escalations"),
        _("By reviewer. Seconds are the median from sight to submit, without times away from the page."),
        (_("reviewer"), _("skipped"), _("escalated"), _("corrected"), _("reviews"), _("seconds"), _("too fast")),
        [
            (one.name, one.skipped, one.escalated, one.corrected, one.reviews, one.seconds, one.too_fast)
            for one in paces(since=since)
        ],
        "bar",
        (1, 2, 3),
        (1, 2, 3),
    )


def exposure(since: datetime) -> Insight:
    """Exposure of all people combined, because individual figures are private."""
    rows = Exposure.objects.filter(day__gte=since.date()).order_by("day").values("day")
    counted = rows.annotate(
        seconds=Sum("seconds"), severe=Count("pk", filter=Q(severity=3)), people=Count("reviewer", distinct=True)
    )
    return Insight(
        "exposure",
        _("Exposure"),
        _("Unblurred minutes and severe items seen, all reviewers together, by day (UTC)."),
        (_("day"), _("minutes"), _("severe items"), _("people")),
        [(str(row["day"]), round(row["seconds"] / 60, 1), row["severe"], row["people"]) for row in counted],
        "bar",
        (1, 2),
    )
