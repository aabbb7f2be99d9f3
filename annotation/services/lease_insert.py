"""Taking the first of some items and leasing it. On PostgreSQL one statement does it all; elsewhere the ORM's four do.

The statement is put together from the ORM's own SQL for the items and from the columns of Assignment, so neither is said twice.
"""

from functools import lru_cache
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, QuerySet

from annotation.models import Assignment, Event, Item
from annotation.status import EventKind

OF_THE_ITEM = ("item", "round")


def take_first(items: QuerySet[Item]) -> Item | None:
    """Take one slot of the first of `items`. On PostgreSQL concurrent callers skip what another one is taking."""
    if connection.features.has_select_for_update_skip_locked:
        items = items.select_for_update(skip_locked=True, of=("self",))
    item = next(iter(items.select_related("prediction", "queue")[:1]), None)
    if item is None:
        return None
    if Item.objects.filter(pk=item.pk, free_slots__gt=0).update(free_slots=F("free_slots") - 1) != 1:
        return None
    return item


def lease_first(items: QuerySet[Item], lease: Assignment) -> Assignment | None:
    """Give `lease`, which names no item yet, to the first of `items`, with its event. None: there is none. In the caller's transaction."""
    if connection.vendor == "postgresql":
        return _on_postgresql(items, lease)
    item = take_first(items)
    if item is None:
        return None
    lease.item, lease.round = item, item.round
    return store_lease(lease)


def store_lease(lease: Assignment) -> Assignment:
    """With its event."""
    lease.save(force_insert=True)
    Event.objects.create(kind=EventKind.ASSIGNED, item_id=lease.item_id, actor_id=lease.reviewer_id, at=lease.created_at)
    return lease


def _on_postgresql(items: QuerySet[Item], lease: Assignment) -> Assignment | None:
    try:
        first = items.select_for_update(skip_locked=True, of=("self",)).values_list("pk", "round")[:1]
        chosen, given = first.query.sql_with_params()
    except EmptyResultSet:  # the queue is closed
        return None
    constants = [field.get_db_prep_save(getattr(lease, field.attname), connection) for field in _others()]
    event = (lease.created_at, EventKind.ASSIGNED, lease.reviewer_id)
    with connection.cursor() as cursor:
        cursor.execute(_statement().replace("CHOSEN", chosen, 1), [*given, *constants, *event])
        made = cursor.fetchone()
    if made is None:
        return None
    lease.pk, lease.item_id, lease.round = made
    lease._state.adding, lease._state.db = False, connection.alias
    lease.item = Item.objects.select_related("prediction").get(pk=lease.item_id)
    lease.item.queue = lease.queue
    return lease


@lru_cache(maxsize=1)
def _others() -> tuple[Any, ...]:
    return tuple(field for field in Assignment._meta.concrete_fields if not field.primary_key and field.name not in OF_THE_ITEM)


@lru_cache(maxsize=1)
def _statement() -> str:
    columns = ", ".join(str(field.column) for field in _others())
    constants = ", ".join(f"%s::{field.cast_db_type(connection)}" for field in _others())
    return (
        "WITH first (id, round) AS (CHOSEN), "  # noqa: S608  (names of the model's own columns)
        "taken AS (UPDATE annotation_item SET free_slots = free_slots - 1 FROM first WHERE annotation_item.id = first.id "
        "RETURNING annotation_item.id, first.round), "
        f"lease AS (INSERT INTO annotation_assignment (item_id, round, {columns}) SELECT id, round, {constants} FROM taken "
        "RETURNING id, item_id, round), "
        "told AS (INSERT INTO annotation_event (at, kind, actor_id, item_id, detail) "
        "SELECT %s::timestamptz, %s, %s::bigint, item_id, '{}' FROM lease) SELECT id, item_id, round FROM lease")
