"""Reads reviewed rows: standing gold with its item, prediction, reviews and media, in the order it settled."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from annotation.database.kept_statements import Select
from annotation.database.lists import count_some
from annotation.exporting.values import ExportedMedia, ExportedReview, History, ReviewedRow, WholeRow, columns_in
from annotation.exporting.whole_rows import authors_of, definitions, events_of, history_of, kinds_of_history, reports_of
from annotation.models import GoldLabel, ItemMedia, ModelVersion, PolicyVersion, Review, ReviewQueue, User
from annotation.predictions.active_policy import policy_text
from guardapp.guard.taxonomy import MediaKind, Modality

CHUNK = 900  # gold labels: SQLite allows 999 parameters, and this many fit in the processor cache
LAST_ID = 2**63 - 1
TEXT = Modality.TEXT.value
_PLACES = {name: place for place, name in enumerate(columns_in(WholeRow))}
ITEM, MODALITY, POLICY, VERSION, POLICY_IN_PROMPT, QUEUE, ROUND, REPORTS, AUTHOR = (
    _PLACES[name]
    for name in (
        "item_id",
        "modality",
        "policy_version_id",
        "version_id",
        "prompt_policy_id",
        "queue_id",
        "round",
        "report_count",
        "author_id",
    )
)


def standing_gold(*, only_hard: bool) -> QuerySet[GoldLabel]:
    gold = GoldLabel.objects.standing()
    return gold.filter(hard_sample__isnull=False) if only_hard else gold


def count_standing(*, only_hard: bool) -> int:
    """Count standing gold labels. COUNTED_UP_TO + 1 means that there are more than COUNTED_UP_TO."""
    return count_some(standing_gold(only_hard=only_hard))


def holds_media(*, only_hard: bool) -> bool:
    return (
        ItemMedia.objects.exists()
        and standing_gold(only_hard=only_hard).exclude(item__modality=Modality.TEXT.value).exists()
    )


class _Rows(dict[int, tuple[Any, ...]]):
    """Cached rows of a small table by id, the first column. Rows added later are queried on demand."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        super().__init__((row[0], row) for row in rows)
        self._rows = rows

    def __missing__(self, pk: int) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._rows.get(pk=pk)
        self[pk] = found
        return found


def reviewed_rows(
    *, only_hard: bool = False, after: int = 0, up_to: int = LAST_ID, whole: bool = False
) -> Iterator[list[ReviewedRow]]:
    """Yield standing gold by id, in chunks, so that memory use stays constant. Creates no model instances.

    `after` (exclusive) and `up_to` (inclusive) are gold ids; by default, all rows are included. `whole` reads the
    history of the items too, and with the first row of all the definitions.
    """
    policies = _Rows(PolicyVersion.objects.values_list("pk", "policy__slug", "number"))
    versions = _Rows(ModelVersion.objects.values_list("pk", "name"))
    people = _Rows(User.objects.values_list("pk", "pseudonym"))
    queues = _Rows(ReviewQueue.objects.values_list("pk", "slug"))
    kind = WholeRow if whole else ReviewedRow
    kept, first_of_all = kinds_of_history() if whole else frozenset(), whole and after == 0

    def named(version_id: int | None) -> dict[str, Any] | None:
        return None if version_id is None else dict(zip(("id", "version"), policies[version_id][1:], strict=True))

    while ids := _ids_of_chunk(only_hard, CHUNK).fetch(after=after, up_to=up_to):
        (first,), (after,) = ids[0], ids[-1]
        with _row_by_row():
            chunk = _rows_between(only_hard, kind).fetch(first=first, last=after)
            items = [row[ITEM] for row in chunk]
            rounds = _rounds_of([row[ITEM] for row in chunk if row[ROUND] > 1]) if whole else {}
            reviews, taken_back = _reviews_of(items, people, policies, rounds)
            media = _media_of([row[ITEM] for row in chunk if row[MODALITY] != TEXT])
            events = dict(events_of(items)) if whole else {}
            authors = authors_of({row[AUTHOR] for row in chunk} - {None}) if whole else {}
            reports = reports_of([row[ITEM] for row in chunk if row[REPORTS]]) if whole else {}
            history = history_of(items, kept, taken_back) if whole else {}
        if first_of_all and chunk:
            history.setdefault(chunk[0][ITEM], History()).definitions, first_of_all = definitions(), False
        yield [
            kind(
                policies[row[POLICY]][1:],
                _policy_in_prompt(row[POLICY_IN_PROMPT]),
                named(row[POLICY_IN_PROMPT]),
                None if row[VERSION] is None else versions[row[VERSION]][1],
                queues[row[QUEUE]][1] if whole else "",
                reviews.get(row[ITEM], []),
                media.get(row[ITEM], []),
                events.get(row[ITEM], ""),
                history.get(row[ITEM]),
                authors.get(row[AUTHOR]) if whole else None,
                reports.get(row[ITEM], "[]"),
                *row,
            )
            for row in chunk
        ]


@contextmanager
def _row_by_row() -> Iterator[None]:
    """Disable parallel workers on PostgreSQL.

    PostgreSQL assumes that each lookup by key reads from disk, and would rather scan the whole table in parallel for
    each chunk.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        yield


@lru_cache(maxsize=4)
def _ids_of_chunk(only_hard: bool, chunk: int) -> Select[GoldLabel]:
    ids: QuerySet[Any, Any] = standing_gold(only_hard=only_hard).order_by("pk").values_list("pk")
    return Select(lambda after, up_to: ids.filter(pk__gt=after, pk__lte=up_to)[:chunk])


@lru_cache(maxsize=4)
def _rows_between(only_hard: bool, kind: type[ReviewedRow]) -> Select[GoldLabel]:
    """Select the columns of such rows for a range of ids."""
    rows = standing_gold(only_hard=only_hard).order_by("pk").values_list(*_columns(kind))
    return Select(lambda first, last: rows.filter(pk__gte=first, pk__lte=last))


Reviews = dict[int, list[ExportedReview]]


def _rounds_of(item_ids: Sequence[int]) -> dict[int, int]:
    """Return the rounds of the reviews of items that have had several, by review id."""
    return dict(Review.objects.filter(item_id__in=item_ids).values_list("pk", "assignment__round")) if item_ids else {}


def _reviews_of(
    item_ids: Sequence[int], people: _Rows, policies: _Rows, rounds: Mapping[int, int]
) -> tuple[Reviews, Reviews]:
    """Return the standing reviews and those taken back, by item id."""
    reviews: Reviews = defaultdict(list)
    taken_back: Reviews = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_reviews_sql(connection.vendor, len(item_ids)), item_ids)
        for row in cursor.fetchall():
            made = ExportedReview(people[row[1]][1], rounds.get(row[3], 1), policies[row[2]][1:], *row[4:])
            (reviews if made.retracted_at is None else taken_back)[row[0]].append(made)
    return reviews, taken_back


@lru_cache(maxsize=4)
def _reviews_sql(vendor: str, items: int) -> str:
    """Return the SQL for the reviews of the given number of items, which is the same for all chunks but the last.

    Ids are parameters, because with a subquery PostgreSQL reads all reviews for each chunk. The SQL is built for one
    item and the placeholder repeated, since Django takes longer to build it for 900 than the database to answer.
    """
    rows = (
        Review.objects.filter(item_id__in=[0])
        .order_by("pk")
        .values_list("item_id", "reviewer_id", "policy_version_id", "pk", *_columns(ExportedReview))
    )
    sql, params = rows.query.sql_with_params()
    assert params == (0,), "the ids are the only parameters"
    return sql.replace("IN (%s)", f"IN ({', '.join(['%s'] * items)})")


def _media_of(item_ids: Sequence[int]) -> dict[int, list[ExportedMedia]]:
    media: dict[int, list[ExportedMedia]] = defaultdict(list)
    rows = (
        ItemMedia.objects.filter(item_id__in=item_ids)
        .order_by("item_id", "position")
        .values_list("item_id", "asset__kind", "asset__sha256", "asset__mime", "asset__path")
    )
    for item_id, kind, sha256, mime, path in rows:
        media[item_id].append(ExportedMedia(MediaKind(kind), sha256, mime, path))
    return media


@lru_cache(maxsize=64)
def _policy_in_prompt(version_id: int | None) -> str | None:
    # a policy version is immutable, so it can be cached for the life of the process
    return None if version_id is None else policy_text(PolicyVersion.objects.get(pk=version_id))


def _columns(values: type) -> list[Any]:
    """Return the marked fields of a class as queryset expressions."""
    return [Cast(F(one.path), TextField()) if one.raw else one.path for one in columns_in(values).values()]
