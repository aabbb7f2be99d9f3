"""Presence: the people who have an item on screen."""

from datetime import timedelta

from django.utils import timezone

from annotation.models import Item, Presence, User

# pages report every 20 seconds
GONE_AFTER = timedelta(seconds=60)


def seen(*, user: User, item: Item) -> None:
    """Record that the person has the item on screen."""
    Presence.objects.update_or_create(user=user, item=item, defaults={"seen_at": timezone.now()})


def others_at(*, user: User, item: Item) -> list[User]:
    """The other people who have the item on screen, sorted by username."""
    here = Presence.objects.filter(item=item, seen_at__gt=timezone.now() - GONE_AFTER).exclude(user=user)
    return [presence.user for presence in here.select_related("user").order_by("user__username")]


def forget_the_gone() -> int:
    """Delete outdated presence rows. Returns how many."""
    return Presence.objects.filter(seen_at__lt=timezone.now() - GONE_AFTER).delete()[0]
