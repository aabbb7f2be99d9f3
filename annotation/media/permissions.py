"""Permissions to view media."""

from annotation.models import Assignment, Item, MediaAsset, User
from annotation.queues.access import queues_of


def may_see_media_of(user: User, queue_id: int, item_id: int) -> bool:
    """Whether the item is in a queue the user may work on, or is or was assigned to them."""
    return (
        queues_of(user).filter(pk=queue_id).exists() or Assignment.objects.filter(item=item_id, reviewer=user).exists()
    )


def may_see_asset(user: User, asset: MediaAsset) -> bool:
    """Whether the asset belongs to an item whose media the user may see. Leads may see everything."""
    if user.is_lead:
        return True
    items = Item.objects.filter(item_media__asset=asset)
    return items.filter(queue__in=queues_of(user)).exists() or items.filter(assignments__reviewer=user).exists()
