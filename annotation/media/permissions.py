"""Whose eyes the media of an item is for."""

from annotation.models import Assignment, Item, MediaAsset, User
from annotation.queues.access import queues_of


def may_see_media_of(user: User, queue_id: int, item_id: int) -> bool:
    """The item waits in a queue that the person may work on, or they hold or have held it."""
    return (
        queues_of(user).filter(pk=queue_id).exists() or Assignment.objects.filter(item=item_id, reviewer=user).exists()
    )


def may_see_asset(user: User, asset: MediaAsset) -> bool:
    """It belongs to an item whose media the person may see; leads may see all."""
    if user.is_lead:
        return True
    items = Item.objects.filter(item_media__asset=asset)
    return items.filter(queue__in=queues_of(user)).exists() or items.filter(assignments__reviewer=user).exists()
