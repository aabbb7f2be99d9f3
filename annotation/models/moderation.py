"""Thresholds for reviewing and blocking moderated content."""

from django.db import models
from django.db.models import F, Q

from annotation.models.queues import ReviewQueue


class ModerationThreshold(models.Model):
    """The scores at which content of a category is sent to review and blocked. A threshold above 1 means never.

    The row of `guardapp.guard.actions.HARMFUL` applies to every category without a row of its own.
    """

    category = models.CharField(max_length=16, unique=True)
    review_at = models.FloatField(default=0.5)
    block_at = models.FloatField(default=0.9)
    queue = models.ForeignKey(
        ReviewQueue,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="where content to review goes; empty: the default queue",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(review_at__gte=0), name="moderation_review_at_is_a_score"),
            models.CheckConstraint(
                condition=Q(block_at__gte=F("review_at")), name="moderation_blocks_from_where_it_reviews"
            ),
        ]

    def __str__(self) -> str:
        return self.category
