"""Reading what was reviewed: standing gold with its item, prediction, reviews and media, in order of settling."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from annotation.compiled import Select
from annotation.models import GoldLabel, ItemMedia, ModelVersion, PolicyVersion, Review
from annotation.selectors_lists import count_some
from annotation.selectors_policy import policy_text
from guardapp.guard.taxonomy import MediaKind, Modality

CHUNK = 5_000  # gold labels; what a query costs beside its rows is spread over them
IDS_OF_A_QUERY = 900  # SQLite takes 999 parameters
TEXT = Modality.TEXT.value

Json = str | None  # JSON as the database holds it: copied into an export without being read


@dataclass(frozen=True, slots=True)
class ExportedMedia:
    """`store_path` is relative to the media root; `uri` is the name that exports and archives use."""

    kind: MediaKind
    sha256: str
    mime: str
    store_path: str

    @property
    def uri(self) -> str:
        return f"media/{self.sha256}.{EXTENSIONS.get(self.mime, 'bin')}"


EXTENSIONS = {
    "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/avif": "avif",
    "video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "mkv",
}


class ExportedReview(NamedTuple):
    """A standing review. The person is named by pseudonym only. A tuple, as the row below: many thousands are made a second."""

    pseudonym: str
    kind: str
    prompt_label: str | None
    response_label: str | None
    categories: Json
    severity: int | None
    confidence: int | None
    note: str
    steps: str
    seconds: float
    mode: str
    lane: str
    created_at: datetime
    reason: str
    error_kinds: str


class ReviewedRow(NamedTuple):
    """One standing gold label and all that led to it. The fields from `gold_id` on are the columns of the query below, as the
    database's driver gives them: SQLite's moments are in UTC and do not say so.
    """

    policy: tuple[str, int]  # slug and number
    prompt_policy: str | None  # the policy that stood in the guard's prompt
    version: str | None
    reviews: tuple[ExportedReview, ...]
    media: tuple[ExportedMedia, ...]
    gold_id: int
    item_id: int
    source: str
    external_id: str
    modality: str
    prompt: str
    response: str | None
    prompt_label: str | None
    response_label: str | None
    categories: Json
    gold_source: str
    policy_version_id: int
    target_steps: str
    target_source: str
    created_at: datetime
    hard_errors: Json
    version_id: int | None
    completion: str | None
    parsed: bool | None
    guard_steps: Json
    guard_prompt_label: str | None
    guard_response_label: str | None
    guard_categories: Json
    rollouts: Json
    disagreement: float | None
    media_seen: Json
    prompt_policy_id: int | None

    def steps(self) -> tuple[str, ...]:
        """The target reasoning."""
        return tuple(orjson.loads(self.target_steps))


def standing_gold(*, only_hard: bool) -> QuerySet[GoldLabel]:
    gold = GoldLabel.objects.standing()
    return gold.filter(hard_sample__isnull=False) if only_hard else gold


def count_standing(*, only_hard: bool) -> int:
    """At most COUNTED_UP_TO + 1, which stands for more."""
    return count_some(standing_gold(only_hard=only_hard))


def holds_media(*, only_hard: bool) -> bool:
    return ItemMedia.objects.exists() and standing_gold(only_hard=only_hard).exclude(item__modality=Modality.TEXT.value).exists()


def reviewed_rows(*, only_hard: bool = False, after: int = 0, up_to: int | None = None) -> Iterator[list[ReviewedRow]]:
    """Standing gold in chunks, by id: memory stays flat however much there is. No model instance is made on the way.

    `after` and `up_to` are gold ids; without them it is all.
    """
    policies = {pk: (slug, number) for pk, slug, number in PolicyVersion.objects.values_list("pk", "policy__slug", "number")}
    versions = dict(ModelVersion.objects.values_list("pk", "name"))
    gold = standing_gold(only_hard=only_hard).order_by("pk").values_list("pk", flat=True)
    gold = gold if up_to is None else gold.filter(pk__lte=up_to)
    while ids := list(gold.filter(pk__gt=after)[:CHUNK]):
        # by both ends: with a limit alone PostgreSQL plans for all that follow, and starts workers for each chunk
        chunk = _rows_between(only_hard).fetch(first=ids[0], last=ids[-1])
        reviews = _reviews_of([row[1] for row in chunk])
        media = _media_of([row[1] for row in chunk if row[4] != TEXT])
        yield [
            ReviewedRow(policies.get(row[11], ("", 0)), _policy_in_prompt(row[-1]), versions.get(row[16]), tuple(reviews.get(row[1], ())),
                        tuple(media.get(row[1], ())), *row)
            for row in chunk
        ]
        after = ids[-1]


@lru_cache(maxsize=2)
def _rows_between(only_hard: bool) -> Select[GoldLabel]:
    """The columns of ReviewedRow, for two ids."""
    columns = (
        "pk", "item_id", "item__source", "item__external_id", "item__modality", "item__prompt", "item__response", "prompt_label",
        "response_label", _raw("categories"), "source", "policy_version_id", _raw("target_steps"), "target_source", "created_at",
        _raw("hard_sample__errors"), "prediction__version_id", "prediction__completion", "prediction__parsed", _raw("prediction__steps"),
        "prediction__prompt_label", "prediction__response_label", _raw("prediction__categories"), _raw("prediction__rollouts"),
        "prediction__disagreement", _raw("prediction__media_seen"), "prediction__policy_version_id",
    )
    rows = standing_gold(only_hard=only_hard).order_by("pk").values_list(*columns)
    return Select(lambda first, last: rows.filter(pk__gte=first, pk__lte=last))


def _reviews_of(item_ids: Sequence[int]) -> dict[int, list[ExportedReview]]:
    reviews: dict[int, list[ExportedReview]] = defaultdict(list)
    for part in _parts(item_ids):
        with connection.cursor() as cursor:
            cursor.execute(_reviews_sql(connection.vendor, len(part)), part)
            for row in cursor.fetchall():
                reviews[row[0]].append(ExportedReview._make(row[1:]))
    return reviews


@lru_cache(maxsize=4)
def _reviews_sql(vendor: str, items: int) -> str:
    """Of so many items. All chunks but the last are alike, and so are their parts."""
    rows = Review.objects.filter(item_id__in=range(items), retraction__isnull=True).order_by("pk").values_list(
        "item_id", "reviewer__pseudonym", "kind", "prompt_label", "response_label", _raw("categories"), "severity", "confidence",
        "note", _raw("steps"), "seconds", "mode", "lane", "created_at", "reason", _raw("error_kinds"))
    sql, params = rows.query.sql_with_params()
    assert list(params) == list(range(items)), "only the ids are parameters"
    return sql


def _media_of(item_ids: Sequence[int]) -> dict[int, list[ExportedMedia]]:
    media: dict[int, list[ExportedMedia]] = defaultdict(list)
    for part in _parts(item_ids):
        rows = ItemMedia.objects.filter(item_id__in=part).order_by("item_id", "position").values_list(
            "item_id", "asset__kind", "asset__sha256", "asset__mime", "asset__path")
        for item_id, kind, sha256, mime, path in rows:
            media[item_id].append(ExportedMedia(MediaKind(kind), sha256, mime, path))
    return media


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """As many as a query takes. Named one by one: asked by a subquery PostgreSQL reads all reviews for each chunk."""
    for start in range(0, len(ids), IDS_OF_A_QUERY):
        yield ids[start:start + IDS_OF_A_QUERY]


@lru_cache(maxsize=64)
def _policy_in_prompt(version_id: int | None) -> str | None:
    # a policy version is immutable, so this can be kept for the life of the process
    return None if version_id is None else policy_text(PolicyVersion.objects.get(pk=version_id))


def _raw(name: str) -> Any:
    """A JSON column as its text, which spares reading and writing it again."""
    return Cast(F(name), TextField())
