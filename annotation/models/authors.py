"""The people and accounts that posted the items, as the platforms name them."""

from django.db import models
from django.utils import timezone


class Author(models.Model):
    """Who posted an item. Unique by (source, external_id); the newest facts of the sender count.

    `created_at` and `strikes` are the platform's: when the account was made, and how often it was warned before.
    """

    source = models.CharField(max_length=100)
    external_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    url = models.TextField(blank=True)
    created_at = models.DateTimeField(null=True, blank=True, help_text="of the account, as the platform says")
    strikes = models.PositiveIntegerField(null=True, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="author_is_known_once_a_source")]
        indexes = [models.Index(fields=["external_id"], name="author_by_external_id")]

    def __str__(self) -> str:
        return self.name or self.external_id
