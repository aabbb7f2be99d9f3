"""Hidden gold: settled items used to score reviewers and the guard."""

from django.db import models
from django.utils import timezone

from annotation.models.guards import LABELS
from annotation.models.items import Item
from annotation.models.people import User


class HiddenGold(models.Model):
    """A settled item served among the others, to score reviewers and the serving guard against its verdict."""

    item = models.OneToOneField(Item, on_delete=models.PROTECT, related_name="hidden_gold")
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    note = models.TextField(
        blank=True, help_text="why this is the right verdict; shown after the review where the queue says so"
    )
    active = models.BooleanField(default=True)
    added_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "annotation_knownitem"

    def __str__(self) -> str:
        return f"hidden gold: item {self.item_id}"
