"""Standing reviews per day, counted after the day ends and recounted if one of its reviews is retracted."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Max, Q
from django.db.models.functions import TruncDate

from annotation.database import clock
from annotation.models import Review, ReviewDay, ReviewRetraction

# oldest first, so it takes several runs to catch up after an upgrade
DAYS_A_RUN = 31
# a review may become visible this long after its timestamp
LATE = timedelta(minutes=10)


def count_days() -> int:
    """Count the past days that have not been counted yet. Returns how many were written."""
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
    """{day: (accepted, corrected)} from `since` on, counted from the reviews. Days without reviews are omitted."""
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
