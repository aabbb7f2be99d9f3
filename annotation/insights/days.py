"""Standing reviews by day, counted once a day is over, and again where one of its reviews was taken back."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Max, Q
from django.db.models.functions import TruncDate

from annotation.database import clock
from annotation.models import Review, ReviewDay, ReviewRetraction

DAYS_A_RUN = 31  # the oldest first: after an upgrade it takes a few bells
LATE = timedelta(minutes=10)  # a review may become visible this long after the time that it carries


def count_days() -> int:
    """Count the days that are over and not counted yet. Returns how many were written."""
    now = clock.now()
    last = ReviewDay.objects.aggregate(day=Max("day"), at=Max("counted_at"))
    first = Review.objects.order_by("created_at").values_list("created_at", flat=True).first()
    if first is None:
        return 0
    begin = last["day"] + timedelta(days=1) if last["day"] else first.date()
    end = (now - LATE).date()
    days = {begin + timedelta(days=number) for number in range(min((end - begin).days, DAYS_A_RUN))}
    if last["at"]:
        undone = ReviewRetraction.objects.filter(at__gte=last["at"] - LATE).values_list("review__created_at", flat=True)
        days |= {at.date() for at in undone if at.date() < begin}
    for day in sorted(days):
        counted = reviews_by_day(day, until=day).get(day, (0, 0))
        ReviewDay.objects.update_or_create(
            day=day, defaults={"accepted": counted[0], "corrected": counted[1], "counted_at": now}
        )
    return len(days)


def reviews_by_day(since: date, *, until: date | None = None) -> Mapping[date, tuple[int, int]]:
    """Accepted and corrected of the days from `since`, read from the reviews themselves. Days without any are left
    out.
    """
    rows = Review.objects.filter(created_at__gte=_begins(since), retraction__isnull=True)
    if until is not None:
        rows = rows.filter(created_at__lt=_begins(until + timedelta(days=1)))
    counted = (
        rows.order_by()
        .annotate(day=TruncDate("created_at", tzinfo=UTC))
        .values_list("day")
        .annotate(accepted=Count("pk", filter=Q(kind="accepted")), corrected=Count("pk", filter=Q(kind="corrected")))
    )
    return {day: (accepted, corrected) for day, accepted, corrected in counted}


def _begins(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
