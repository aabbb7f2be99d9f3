"""Items that a person flagged to come back to: an event sets the flag, a later one takes it away."""

from annotation.database.lists import long_texts
from annotation.models import Event, Item, User
from annotation.status import EventKind

MOST_EVENTS = 200  # newest flag events of a person


def toggle_flag(*, user: User, item: Item) -> bool:
    """True: flagged now."""
    on = not is_flagged(user, item)
    Event.objects.create(kind=EventKind.FLAGGED_FOR_LATER, actor=user, item=item, detail={"on": on})
    return on


def is_flagged(user: User, item: Item) -> bool:
    newest = Event.objects.filter(kind=EventKind.FLAGGED_FOR_LATER, actor=user, item=item).order_by("-id").first()
    return newest is not None and bool(newest.detail.get("on"))


def flagged_items(user: User) -> list[Item]:
    """The newest flag first."""
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
    return list(seen.values())
