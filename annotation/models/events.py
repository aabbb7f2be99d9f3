"""The append-only audit log."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.items import Item
from annotation.models.people import User
from annotation.status import EventKind


class Event(models.Model):
    """An audit record: who did what to which item, and when. `actor` is None for actions of the product itself."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=32)
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    item = models.ForeignKey(Item, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["item", "id"], name="event_of_item"),
            models.Index(
                fields=["actor", "-id"], condition=Q(kind=EventKind.FLAGGED_FOR_LATER), name="event_flag_of_person"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
