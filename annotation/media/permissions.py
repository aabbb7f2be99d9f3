"""Permissions to view media."""

from annotation.models import Item, MediaAsset, User
from annotation.queues.access import held_by, queues_of


def may_see_asset(user: User, asset: MediaAsset) -> bool:
    """Whether the asset belongs to an item that the user may see."""
    items = Item.objects.filter(item_media__asset=asset)
    if user.is_lead:
        return True
    return (
        items.filter(queue__in=queues_of(user)).exists() or held_by(user).filter(item__item_media__asset=asset).exists()
    )
