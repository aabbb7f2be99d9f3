"""Reviewer care: measures and limits exposure to unblurred evidence. It does not claim to prevent harm.

A person over a limit is in cool-down: until the end of the day (UTC), they get only items that the guard calls
harmless.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum, TextField
from django.db.models.functions import Cast, Greatest
from django.utils import timezone

from annotation.models import Event, Exposure, Item, Review, User
from annotation.status import EventKind

SEVERE = 3  # of 0 to 3
# per report by the page; a longer time means that the computer slept
MOST_SECONDS = 120.0
# this long without a review counts as a rest
PAUSE = timedelta(minutes=10)
# newest reviews read to measure a stretch of work
MOST_REVIEWS = 500


@dataclass(frozen=True, slots=True)
class Shift:
    """A person's exposure today (UTC), and their limits."""

    unblurred_s: float
    severe: int
    limit_s: int
    severe_limit: int
    stretch_minutes: int  # minutes worked without a pause
    break_after: int  # minutes

    @property
    def cools_down(self) -> bool:
        return self.unblurred_s >= self.limit_s or self.severe >= self.severe_limit

    @property
    def break_due(self) -> bool:
        return self.stretch_minutes >= self.break_after


def record_exposure(*, reviewer: User, item: Item, seconds: float, severity: int) -> None:
    """Add unblurred seconds of an item to the person's day. Severity (0 to 3) never decreases."""
    seconds, today = max(0.0, min(seconds, MOST_SECONDS)), timezone.now().date()
    with transaction.atomic():
        row, created = Exposure.objects.get_or_create(
            reviewer=reviewer, item=item, day=today, defaults={"seconds": seconds, "severity": severity}
        )
        if not created:
            Exposure.objects.filter(pk=row.pk).update(
                seconds=F("seconds") + seconds, severity=Greatest(F("severity"), severity)
            )


def shift_of(reviewer: User, *, now: datetime | None = None) -> Shift:
    now = now or timezone.now()
    day = Exposure.objects.filter(reviewer=reviewer, day=now.date())
    seen = day.aggregate(seconds=Sum("seconds"), severe=Count("pk", filter=Q(severity__gte=SEVERE)))
    return Shift(
        unblurred_s=seen["seconds"] or 0.0,
        severe=seen["severe"],
        limit_s=settings.EXPOSURE_LIMIT_S if reviewer.exposure_limit_s is None else reviewer.exposure_limit_s,
        severe_limit=settings.SEVERE_LIMIT if reviewer.severe_limit is None else reviewer.severe_limit,
        stretch_minutes=_stretch(reviewer, now),
        break_after=settings.BREAK_MINUTES,
    )


def take_break(*, reviewer: User) -> None:
    """Record a break, which ends the stretch of work."""
    Event.objects.create(kind=EventKind.BREAK_TAKEN, actor=reviewer)


def for_person(items: QuerySet[Item], *, opted_out: Collection[str], cool_down: bool) -> QuerySet[Item]:
    """Exclude categories that the person opted out of; in cool-down, keep only items that the guard calls harmless."""
    if opted_out:
        items = items.annotate(opted_text=Cast("prediction__categories", TextField()))
        for code in opted_out:
            items = items.exclude(opted_text__contains=f'"{code}"')
    return items.filter(severity=0) if cool_down else items


def cools_down(reviewer: User) -> bool:
    seen = Exposure.objects.filter(reviewer=reviewer, day=timezone.now().date()).aggregate(
        seconds=Sum("seconds"), severe=Count("pk", filter=Q(severity__gte=SEVERE))
    )
    return over_limits(reviewer, unblurred_s=seen["seconds"] or 0.0, severe=seen["severe"])


def over_limits(reviewer: User, *, unblurred_s: float, severe: int) -> bool:
    """Whether today's exposure reaches one of the person's limits."""
    limit_s = settings.EXPOSURE_LIMIT_S if reviewer.exposure_limit_s is None else reviewer.exposure_limit_s
    severe_limit = settings.SEVERE_LIMIT if reviewer.severe_limit is None else reviewer.severe_limit
    return unblurred_s >= limit_s or severe >= severe_limit


def _stretch(reviewer: User, now: datetime) -> int:
    """Minutes worked since the last pause or break, based on the person's reviews; 0 during a pause."""
    rested = (
        Event.objects.filter(kind=EventKind.BREAK_TAKEN, actor=reviewer, at__gt=now - timedelta(days=1))
        .order_by("-id")
        .first()
    )
    since = rested.at if rested else now - timedelta(days=1)
    times = (
        Review.objects.filter(reviewer=reviewer, created_at__gt=since)
        .order_by("-id")
        .values_list("created_at", flat=True)[:MOST_REVIEWS]
    )
    began = now
    for at in times:
        if began - at > PAUSE:
            break
        began = at
    return int((now - began).total_seconds() // 60)
