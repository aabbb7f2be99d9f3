"""Reads reviewed rows: standing gold with its item, prediction, reviews and media, in the order it settled."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from annotation.database.kept_statements import Select
from annotation.database.lists import count_some
from annotation.exporting.values import ExportedMedia, ExportedReview, ReviewedRow, columns_in
from annotation.models import GoldLabel, ItemMedia, ModelVersion, PolicyVersion, Review, User
from annotation.predictions.active_policy import policy_text
from guardapp.guard.taxonomy import MediaKind, Modality

CHUNK = 900  # gold labels: SQLite allows 999 parameters, and this many fit in the processor cache
LAST_ID = 2**63 - 1
TEXT = Modality.TEXT.value
_PLACES = {name: place for place, name in enumerate(columns_in(ReviewedRow))}
ITEM, MODALITY, POLICY, VERSION, POLICY_IN_PROMPT = (
    _PLACES[name] for name in ("item_id", "modality", "policy_version_id", "version_id", "prompt_policy_id")
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


def reviewed_rows(*, only_hard: bool = False, after: int = 0, up_to: int = LAST_ID) -> Iterator[list[ReviewedRow]]:
    """Yield standing gold by id, in chunks, so that memory use stays constant. Creates no model instances.

    `after` (exclusive) and `up_to` (inclusive) are gold ids; by default, all rows are included.
    """
    policies = _Rows(PolicyVersion.objects.values_list("pk", "policy__slug", "number"))
    versions = _Rows(ModelVersion.objects.values_list("pk", "name"))
    people = _Rows(User.objects.values_list("pk", "pseudonym"))
    while ids := _ids_of_chunk(only_hard, CHUNK).fetch(after=after, up_to=up_to):
        (first,), (after,) = ids[0], ids[-1]
        with _row_by_row():
            chunk = _rows_between(only_hard).fetch(first=first, last=after)
            reviews = _reviews_of([row[ITEM] for row in chunk], people)
            media = _media_of([row[ITEM] for row in chunk if row[MODALITY] != TEXT])
        yield [
            ReviewedRow(
                policies[row[POLICY]][1:],
                _policy_in_prompt(row[POLICY_IN_PROMPT]),
                None if row[VERSION] is None else versions[row[VERSION]][1],
                reviews.get(row[ITEM], []),
                media.get(row[ITEM], []),
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


@lru_cache(maxsize=2)
def _rows_between(only_hard: bool) -> Select[GoldLabel]:
    """Select the columns of ReviewedRow for a range of ids."""
    rows = standing_gold(only_hard=only_hard).order_by("pk").values_list(*_columns(ReviewedRow))
    return Select(lambda first, last: rows.filter(pk__gte=first, pk__lte=last))


def _reviews_of(item_ids: Sequence[int], people: _Rows) -> dict[int, list[ExportedReview]]:
    reviews: dict[int, list[ExportedReview]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_reviews_sql(connection.vendor, len(item_ids)), item_ids)
        for row in cursor.fetchall():
            reviews[row[0]].append(ExportedReview(people[row[1]][1], *row[2:]))
    return reviews


@lru_cache(maxsize=4)
def _reviews_sql(vendor: str, items: int) -> str:
    """Return the SQL for the reviews of the given number of items, which is the same for all chunks but the last.

    Ids are parameters, because with a subquery PostgreSQL reads all reviews for each chunk. The SQL is built for one
    item and the placeholder repeated, since Django takes longer to build it for 900 than the database to answer.
    """
    rows = (
        Review.objects.filter(item_id__in=[0], retraction__isnull=True)
        .order_by("pk")
        .values_list("item_id", "reviewer_id", *_columns(ExportedReview))
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
