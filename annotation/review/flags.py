"""Items flagged for later. Each toggle is an event, and the newest one decides."""

from annotation.database.lists import long_texts
from annotation.models import Event, Item, User
from annotation.queues.access import may_see_items
from annotation.status import EventKind

# newest flag events read for one person
MOST_EVENTS = 200


def toggle_flag(*, user: User, item: Item) -> bool:
    """Toggle the flag. Returns True if the item is now flagged."""
    on = not is_flagged(user, item)
    Event.objects.create(kind=EventKind.FLAGGED_FOR_LATER, actor=user, item=item, detail={"on": on})
    return on


def is_flagged(user: User, item: Item) -> bool:
    newest = Event.objects.filter(kind=EventKind.FLAGGED_FOR_LATER, actor=user, item=item).order_by("-id").first()
    return newest is not None and bool(newest.detail.get("on"))


def flagged_items(user: User) -> list[Item]:
    """The person's flagged items, most recently flagged first."""
    seen: dict[int, Item] = {}
    off: set[int] = set()
    events = Event.objects.filter(kind=EventKind.FLAGGED_FOR_LATER, actor=user, item__isnull=False).select_related(
        "item"
    )
    for event in events.defer(*long_texts(item="item")).order_by("-id")[:MOST_EVENTS]:
        if event.item is None or event.item.pk in seen or event.item.pk in off:
            continue
        if event.detail.get("on"):
            seen[event.item.pk] = event.item
        else:
            off.add(event.item.pk)
    visible = may_see_items(user, seen.values())
    return [item for item in seen.values() if item.pk in visible]
