"""Insert new items, their texts for searches and their events, a thousand at a time.

PostgreSQL gets one statement with all rows in a JSON document, which it expands itself; this takes a tenth of the time
of one parameter per field. SQLite gets prepared statements.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from math import inf
from operator import attrgetter
from typing import Any

import orjson
from django.db import connection
from django.db.models import CharField, DateTimeField, TextField

from annotation.ingest.authors import store_authors
from annotation.ingest.item_text import text_of
from annotation.ingest.reports import store_first_reports
from annotation.ingest.values import COLUMNS, IncomingItem, IncomingReport
from annotation.media.store import StoredMedia
from annotation.models import ApiKey, Event, Item, ReviewQueue, User
from annotation.queues.priority import points_while_pending
from annotation.status import EventKind, ItemStatus
from guardapp.guard.taxonomy import Modality

SEARCHED = "searched"  # the text for searches beside the columns of a row
IDS_OF_A_QUERY = 900  # SQLite takes 999 parameters

Identity = tuple[str, str]  # source, external id


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that passed all checks that do not need the database."""

    index: int
    row: IncomingItem
    modality: Modality
    media: tuple[StoredMedia, ...]
    content_hash: str
    reports: Mapping[str, IncomingReport] = field(default_factory=dict)  # by their digests

    @property
    def identity(self) -> Identity:
        return self.row.source, self.row.external_id

    def says_the_same(
        self, prompt: str, response: str | None, content_hash: str, messages: Sequence[dict[str, Any]]
    ) -> bool:
        own = self.row.prompt, self.row.response, self.content_hash
        return own == (prompt, response, content_hash) and list(self.row.messages) == list(messages)


# columns that differ between rows: the sender's fields and the values derived from the row
GIVEN = (*COLUMNS, "content_hash", "author_id", "report_count", "priority")
_columns_of = attrgetter(*COLUMNS)


def insert_new(
    candidates: Collection[Candidate], *, queue: ReviewQueue, key: ApiKey | None, actor: User | None, now: datetime
) -> dict[Identity, int]:
    """Return the ids of the items inserted, with their authors and reports. Runs in the caller's transaction.

    Candidates missing from the result already existed. If another process inserts the same identity concurrently, the
    database resolves the conflict.
    """
    alike = Item(
        created_at=now, ingested_by=key, status=ItemStatus.PENDING, queue=queue, free_slots=queue.reviews_per_item
    )
    authors = store_authors([(one.row.source, one.row.author) for one in candidates if one.row.author is not None])
    rows = [_given(candidate, authors) for candidate in candidates]
    insert = _insert_on_postgresql if connection.vendor == "postgresql" else _insert_on_sqlite
    created = insert(candidates, rows, alike, actor)
    store_first_reports(
        {created[one.identity]: one.reports for one in candidates if one.reports and one.identity in created}, now
    )
    return created


def rows_of(identities: Iterable[Identity], *columns: str) -> dict[Identity, tuple[Any, ...]]:
    """Return the given columns of the items that exist in the database."""
    by_source: dict[str, list[str]] = {}
    for source, external_id in identities:
        by_source.setdefault(source, []).append(external_id)
    found: dict[Identity, tuple[Any, ...]] = {}
    for source, ids in by_source.items():
        for start in range(0, len(ids), IDS_OF_A_QUERY):
            rows = Item.objects.filter(source=source, external_id__in=ids[start : start + IDS_OF_A_QUERY])
            for external_id, *values in rows.values_list("external_id", *columns):
                found[source, str(external_id)] = tuple(values)
    return found


def _insert_on_sqlite(
    candidates: Collection[Candidate], rows: Collection[dict[str, Any]], alike: Item, actor: User | None
) -> dict[Identity, int]:
    """Insert with prepared statements.

    bulk_create spends three quarters of its time building models and SQL for a thousand rows.
    """
    constants, writers = _constants(alike), _writers_on_sqlite()

    def values(given: dict[str, Any]) -> list[Any]:
        for name, write in writers:
            given[name] = write(given[name])
        return [*given.values(), *constants]

    with connection.cursor() as cursor:
        cursor.executemany(_inserts_on_sqlite(), [values(given) for given in rows])
        stored = rows_of([candidate.identity for candidate in candidates], "pk", "created_at")
        created = {identity: pk for identity, (pk, created_at) in stored.items() if created_at == alike.created_at}
        event = (
            connection.ops.adapt_datetimefield_value(alike.created_at),
            EventKind.INGESTED.value,
            actor.pk if actor else None,
            "{}",
        )
        cursor.executemany(
            "INSERT OR IGNORE INTO annotation_itemtext (item_id, text) VALUES (%s, %s)",
            [
                (created[candidate.identity], _text_of(candidate))
                for candidate in candidates
                if candidate.identity in created
            ],
        )
        cursor.executemany(
            "INSERT INTO annotation_event (at, kind, actor_id, detail, item_id) VALUES (%s, %s, %s, %s, %s)",
            [(*event, pk) for pk in created.values()],
        )
    return created


def _insert_on_postgresql(
    candidates: Collection[Candidate], given: Collection[dict[str, Any]], alike: Item, actor: User | None
) -> dict[Identity, int]:
    rows = orjson.dumps(
        [row | {SEARCHED: _text_of(candidate)} for candidate, row in zip(candidates, given, strict=True)],
        option=orjson.OPT_NON_STR_KEYS,
    )
    constants = _constants(alike)
    event = Event(kind=EventKind.INGESTED, actor=actor, at=alike.created_at)
    with connection.cursor() as cursor:
        cursor.execute(_statement(), [rows.decode(), *constants, event.at, event.kind, event.actor_id])
        return {(source, external_id): pk for pk, source, external_id in cursor.fetchall()}


def _given(candidate: Candidate, authors: Mapping[Identity, int]) -> dict[str, Any]:
    """Return the candidate's values, in the order of GIVEN."""
    row, reports = candidate.row, candidate.reports
    given = dict(zip(COLUMNS, _columns_of(row), strict=True))
    given["modality"], given["content_hash"] = candidate.modality.value, candidate.content_hash
    given["author_id"] = None if row.author is None else authors[row.source, row.author.id]
    given["report_count"], given["priority"] = len(reports), points_while_pending(len(reports))
    if reports and not row.reason and row.reported_at is None:
        first = min(reports.values(), key=_when)
        given["reason"], given["reported_at"] = first.reason, first.reported_at
    return given


def _when(report: IncomingReport) -> float:
    return inf if report.reported_at is None else report.reported_at.timestamp()


def _text_of(candidate: Candidate) -> str:
    row, author = candidate.row, candidate.row.author
    who = ("", "") if author is None else (author.id, author.name)
    return text_of(row.prompt, row.response, row.messages, row.url, *who)


def _constants(alike: Item) -> list[Any]:
    return [field.get_db_prep_save(getattr(alike, field.attname), connection) for field in _others()]


@lru_cache(maxsize=1)
def _given_fields() -> tuple[Any, ...]:
    return tuple(Item._meta.get_field(name) for name in GIVEN)


def _writers_on_sqlite() -> list[tuple[str, Callable[[Any], Any]]]:
    """Return the converters to SQLite values for the non-text columns."""

    def writer(field: Any) -> Callable[[Any], Any]:
        usual = field.get_default()
        stored = field.get_db_prep_save(usual, connection)
        # the values are already timezone-aware, so the field's own checks are unnecessary
        if isinstance(field, DateTimeField):
            write = connection.ops.adapt_datetimefield_value
        else:
            write = partial(field.get_db_prep_save, connection=connection)
        return lambda value: stored if value == usual else write(value)

    return [(field.attname, writer(field)) for field in _given_fields() if not isinstance(field, CharField | TextField)]


@lru_cache(maxsize=1)
def _others() -> tuple[Any, ...]:
    """Return the fields that have the same value in all rows of a call."""
    return tuple(field for field in Item._meta.concrete_fields if not field.primary_key and field.attname not in GIVEN)


@lru_cache(maxsize=1)
def _inserts_on_sqlite() -> str:
    columns = [connection.ops.quote_name(str(field.column)) for field in (*_given_fields(), *_others())]
    places = ", ".join(["%s"] * len(columns))
    return (
        f"INSERT INTO annotation_item ({', '.join(columns)}) "  # noqa: S608  (the model's own columns)
        f"VALUES ({places}) "
        "ON CONFLICT (source, external_id) DO NOTHING"
    )


@lru_cache(maxsize=1)
def _statement() -> str:
    quote, given = connection.ops.quote_name, _given_fields()
    columns = ", ".join(quote(str(field.column)) for field in (*given, *_others()))
    unfolded = ", ".join(f"{quote(str(field.column))} {field.db_type(connection)}" for field in given)
    constants = ", ".join(f"%s::{field.cast_db_type(connection)}" for field in _others())
    return (
        f"WITH given AS (SELECT * FROM json_to_recordset(%s::json) AS given ({unfolded}, {SEARCHED} text)), "  # noqa: S608
        f"made AS (INSERT INTO annotation_item ({columns}) "
        f"SELECT {', '.join(f'given.{quote(str(field.column))}' for field in given)}, {constants} FROM given "
        "ON CONFLICT (source, external_id) DO NOTHING RETURNING id, source, external_id), "
        f"searched AS (INSERT INTO annotation_itemtext (item_id, text) SELECT made.id, given.{SEARCHED} "
        "FROM made JOIN given USING (source, external_id)), "
        "recorded AS (INSERT INTO annotation_event (at, kind, actor_id, item_id, detail) "
        "SELECT %s::timestamptz, %s, %s::bigint, id, '{}' FROM made ORDER BY id) SELECT id, source, "
        "external_id FROM made"
    )
