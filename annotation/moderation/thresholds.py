"""Leads set from which scores content is reviewed and blocked."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from annotation.models import Event, ModerationThreshold, ReviewQueue, User
from annotation.status import EventKind


@dataclass(frozen=True, slots=True)
class NewThreshold:
    """`review_at` and `block_at` None: the category has the common thresholds."""

    category: str
    review_at: float | None
    block_at: float | None
    queue: ReviewQueue | None = None


def set_thresholds(*, thresholds: Sequence[NewThreshold], actor: User) -> None:
    """All of them at once; who did it is kept."""
    with transaction.atomic():
        for one in thresholds:
            if one.review_at is None or one.block_at is None:
                ModerationThreshold.objects.filter(category=one.category).delete()
            else:
                ModerationThreshold.objects.update_or_create(
                    category=one.category,
                    defaults={"review_at": one.review_at, "block_at": one.block_at, "queue": one.queue},
                )
        Event.objects.create(
            kind=EventKind.THRESHOLDS_CHANGED,
            actor=actor,
            detail={
                "thresholds": {
                    row.category: [row.review_at, row.block_at]
                    for row in ModerationThreshold.objects.order_by("category")
                }
            },
        )
