"""Changes to the scores at which content is reviewed or blocked, made by leads."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from annotation.models import Event, ModerationThreshold, ReviewQueue, User
from annotation.status import EventKind


@dataclass(frozen=True, slots=True)
class NewThreshold:
    """New thresholds of a category. If `review_at` or `block_at` is None, the category uses the common thresholds."""

    category: str
    review_at: float | None
    block_at: float | None
    queue: ReviewQueue | None = None


def set_thresholds(*, thresholds: Sequence[NewThreshold], actor: User) -> None:
    """Set all given thresholds in one transaction, and record the change with its actor."""
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
