"""Lease the first of some items: one statement on PostgreSQL, four on other databases.

The statement is built from the ORM's SQL for the items and from the columns of Assignment, so neither is duplicated.
"""

from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from annotation.database.kept_statements import Select, Update, insert
from annotation.models import Assignment, Event, Item
from annotation.status import EventKind

OF_THE_ITEM = ("item", "round")
_TAKE_SLOT = Update(lambda item: (Item.objects.filter(pk=item, free_slots__gt=0), {"free_slots": F("free_slots") - 1}))
_ITEM = Select(lambda item: Item.objects.select_related("prediction__version").filter(pk=item))


def take_first(items: QuerySet[Item]) -> Item | None:
    """Take one slot of the first of `items`. On PostgreSQL, concurrent callers skip rows locked by each other."""
    if connection.features.has_select_for_update_skip_locked:
        items = items.select_for_update(skip_locked=True, of=("self",))
    item = next(iter(items.select_related("prediction", "queue")[:1]), None)
    if item is None:
        return None
    return item if take_slot(item) == 1 else None


def take_slot(item: Item) -> int:
    """Take one free slot of the item. Returns how many were taken: 1, or 0 if there is none."""
    return _TAKE_SLOT.run(item=item.pk)


def first_for_lease(items: QuerySet[Item]) -> QuerySet[Any]:
    """The query to compile into the `items` of `lease_first`."""
    if connection.vendor == "postgresql":
        return items.select_for_update(skip_locked=True, of=("self",)).values_list("pk", "round")[:1]
    return items.select_related("prediction__version")[:1]


def lease_first(items: Select[Item], lease: Assignment, **values: int) -> Assignment | None:
    """Assign the first of `items` to `lease` and store it with its event, in the caller's transaction.

    `lease` has no item yet. `items` is compiled from `first_for_lease` and run with `values`. Returns None if there is
    no item.
    """
    if connection.vendor == "postgresql":
        return _on_postgresql(items, lease, values)
    item = items.first(**values)
    if item is None or _TAKE_SLOT.run(item=item.pk) != 1:
        return None
    lease.item, lease.round, item.queue = item, item.round, lease.queue
    return store_lease(lease)


def store_lease(lease: Assignment) -> Assignment:
    """Insert the lease and its event."""
    insert(lease)
    insert(Event(kind=EventKind.ASSIGNED, item_id=lease.item_id, actor_id=lease.reviewer_id, at=lease.created_at))
    return lease


def _on_postgresql(items: Select[Item], lease: Assignment, values: dict[str, int]) -> Assignment | None:
    chosen, given = items.sql(**values)
    constants = [field.get_db_prep_save(getattr(lease, field.attname), connection) for field in _others()]
    event = (lease.created_at, EventKind.ASSIGNED, lease.reviewer_id)
    with connection.cursor() as cursor:
        cursor.execute(_statement().replace("CHOSEN", chosen, 1), [*given, *constants, *event])
        made = cursor.fetchone()
    if made is None:
        return None
    lease.pk, lease.item_id, lease.round = made
    lease._state.adding, lease._state.db = False, connection.alias
    item = _ITEM.first(item=lease.item_id)
    assert item is not None
    lease.item, item.queue = item, lease.queue
    return lease


@lru_cache(maxsize=1)
def _others() -> tuple[Any, ...]:
    return tuple(
        field for field in Assignment._meta.concrete_fields if not field.primary_key and field.name not in OF_THE_ITEM
    )


@lru_cache(maxsize=1)
def _statement() -> str:
    columns = ", ".join(str(field.column) for field in _others())
    constants = ", ".join(f"%s::{field.cast_db_type(connection)}" for field in _others())
    return (
        "WITH first (id, round) AS (CHOSEN), "  # noqa: S608  (names of the model's own columns)
        "taken AS (UPDATE annotation_item SET free_slots = free_slots - 1 FROM first WHERE "
        "annotation_item.id = first.id "
        "RETURNING annotation_item.id, first.round), "
        f"lease AS (INSERT INTO annotation_assignment (item_id, round, {columns}) SELECT id, round, "
        f"{constants} FROM taken "
        "RETURNING id, item_id, round), "
        "recorded AS (INSERT INTO annotation_event (at, kind, actor_id, item_id, detail) "
        "SELECT %s::timestamptz, %s, %s::bigint, item_id, '{}' FROM lease) SELECT id, item_id, round FROM lease"
    )
