"""Value classes of exports: a reviewed row with its reviews and media."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

import orjson

from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import ContextMessage

Json = str | None  # JSON as stored in the database, copied into exports without parsing
Moment = str  # in UTC, in the database's text format; parsed by `moment`


@dataclass(frozen=True, slots=True)
class Column:
    """Marks a field that is read from a column. `path` is its queryset name, if different from the field's.

    `raw` reads the column as text: JSON need not be parsed and serialised again, and Django parses moments slowly.
    """

    path: str = ""
    raw: bool = False


def columns_in(values: type) -> dict[str, Column]:
    """Return the marked fields of a value class, in order, each with its path."""
    return {
        name: replace(mark, path=mark.path or name)
        for name, hint in get_type_hints(values, include_extras=True).items()
        for mark in getattr(hint, "__metadata__", ())
    }


@dataclass(frozen=True, slots=True)
class ExportedMedia:
    """A media file. `store_path` is relative to the media root; `uri` is its name in exports and archives."""

    kind: MediaKind
    sha256: str
    mime: str
    store_path: str

    @property
    def uri(self) -> str:
        return f"media/{self.sha256}.{EXTENSIONS.get(self.mime, 'bin')}"


EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/avif-sequence": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/heic-sequence": "heics",
    "image/tiff": "tiff",
    "image/bmp": "bmp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/mp2t": "ts",
    "video/mpeg": "mpg",
}


@dataclass(slots=True)
class ExportedReview:
    """A review, with the reviewer's pseudonym only.

    Like ReviewedRow, it is not frozen, because many thousands are created per second.
    """

    pseudonym: str
    round: int
    policy: tuple[Any, ...]  # slug and number
    kind: Annotated[str, Column()]
    prompt_label: Annotated[str | None, Column()]
    response_label: Annotated[str | None, Column()]
    categories: Annotated[Json, Column(raw=True)]
    severity: Annotated[int | None, Column()]
    confidence: Annotated[int | None, Column()]
    note: Annotated[str, Column()]
    steps: Annotated[str, Column(raw=True)]
    seconds: Annotated[float, Column()]
    mode: Annotated[str, Column()]
    lane: Annotated[str, Column()]
    created_at: Annotated[Moment, Column(raw=True)]
    reason: Annotated[str, Column()]
    error_kinds: Annotated[str, Column(raw=True)]
    review_id: Annotated[int, Column("pk")]
    prediction_id: Annotated[int | None, Column()]
    first_prompt_label: Annotated[str | None, Column()]
    first_response_label: Annotated[str | None, Column()]
    upholds_id: Annotated[int | None, Column()]
    bulk_id: Annotated[int | None, Column()]
    hidden_gold_id: Annotated[int | None, Column()]
    retracted_at: Annotated[Moment | None, Column("retraction__at", raw=True)]


@dataclass(slots=True)
class History:
    """What was taken back, replaced or appealed at an item. All texts are JSON; `taken_back` are reviews."""

    taken_back: Sequence[ExportedReview] = ()
    gold: str = "[]"
    predictions: str = "[]"
    appeals: str = "[]"
    hidden_gold: str = "null"
    definitions: str = "null"  # on the first row of an export only


@dataclass(slots=True)
class ReviewedRow:
    """A standing gold label and its history. Fields read by the query come last."""

    policy: tuple[Any, ...]  # slug and number
    prompt_policy: str | None  # the policy text in the guard's prompt
    policy_in_prompt: dict[str, Any] | None  # its id and version
    version: str | None
    queue: str  # slug
    reviews: list[ExportedReview]
    media: list[ExportedMedia]
    events: str  # JSON objects with commas between; this and the history are read for whole records only
    history: History | None  # None where there is none
    author: str | None  # JSON, and so are the reports
    reports: str
    gold_id: Annotated[int, Column("pk")]
    item_id: Annotated[int, Column()]
    source: Annotated[str, Column("item__source")]
    external_id: Annotated[str, Column("item__external_id")]
    modality: Annotated[str, Column("item__modality")]
    status: Annotated[str, Column("item__status")]
    prompt: Annotated[str, Column("item__prompt")]
    response: Annotated[str | None, Column("item__response")]
    messages: Annotated[str, Column("item__messages", raw=True)]
    prompt_label: Annotated[str | None, Column()]
    response_label: Annotated[str | None, Column()]
    categories: Annotated[Json, Column(raw=True)]
    gold_source: Annotated[str, Column("source")]
    policy_version_id: Annotated[int, Column()]
    target_steps: Annotated[str, Column(raw=True)]
    target_source: Annotated[str, Column()]
    created_at: Annotated[Moment, Column(raw=True)]
    hard_errors: Annotated[Json, Column("hard_sample__errors", raw=True)]
    version_id: Annotated[int | None, Column("prediction__version_id")]
    completion: Annotated[str | None, Column("prediction__completion")]
    parsed: Annotated[bool | None, Column("prediction__parsed")]
    guard_steps: Annotated[Json, Column("prediction__steps", raw=True)]
    guard_prompt_label: Annotated[str | None, Column("prediction__prompt_label")]
    guard_response_label: Annotated[str | None, Column("prediction__response_label")]
    guard_categories: Annotated[Json, Column("prediction__categories", raw=True)]
    rollouts: Annotated[Json, Column("prediction__rollouts", raw=True)]
    disagreement: Annotated[float | None, Column("prediction__disagreement")]
    media_seen: Annotated[Json, Column("prediction__media_seen", raw=True)]
    prompt_policy_id: Annotated[int | None, Column("prediction__policy_version_id")]

    def context(self) -> tuple[ContextMessage, ...]:
        """The messages before the judged exchange."""
        return () if self.messages == "[]" else tuple(map(ContextMessage.of, orjson.loads(self.messages)))

    def steps(self) -> tuple[str, ...]:
        """The target reasoning."""
        return tuple(orjson.loads(self.target_steps))


@dataclass(slots=True)
class WholeRow(ReviewedRow):
    """A reviewed row with all that is known about its item. `queue` is a slug."""

    queue_id: Annotated[int, Column("item__queue_id")]
    prediction_id: Annotated[int | None, Column()]
    review_id: Annotated[int, Column()]
    settled_at: Annotated[Moment, Column(raw=True)]
    stale_at: Annotated[Moment | None, Column(raw=True)]
    metadata: Annotated[str, Column("item__metadata", raw=True)]
    item_reason: Annotated[str, Column("item__reason", raw=True)]
    reported_at: Annotated[Moment | None, Column("item__reported_at", raw=True)]
    language: Annotated[str, Column("item__language")]
    url: Annotated[str, Column("item__url")]
    thread: Annotated[str, Column("item__thread", raw=True)]
    shown_id: Annotated[int | None, Column("item__prediction_id")]
    report_count: Annotated[int, Column("item__report_count")]
    author_id: Annotated[int | None, Column("item__author_id")]
    came_in_at: Annotated[Moment, Column("item__created_at", raw=True)]
    withdrawn_at: Annotated[Moment | None, Column("item__withdrawn_at", raw=True)]
    lane: Annotated[str, Column("item__lane")]
    round: Annotated[int, Column("item__round")]
    severity: Annotated[int, Column("item__severity")]
    priority: Annotated[float, Column("item__priority")]
    prompt_score: Annotated[float | None, Column("prediction__prompt_score")]
    response_score: Annotated[float | None, Column("prediction__response_score")]
    prompt_marginal: Annotated[float | None, Column("prediction__prompt_marginal")]
    response_marginal: Annotated[float | None, Column("prediction__response_marginal")]
    prompt_harm: Annotated[float | None, Column("prediction__prompt_harm")]
    response_harm: Annotated[float | None, Column("prediction__response_harm")]
    calibration_id: Annotated[int | None, Column("prediction__calibration_id")]
    windows: Annotated[Json, Column("prediction__windows", raw=True)]
    tokens: Annotated[int | None, Column("prediction__tokens")]
    latency_ms: Annotated[int | None, Column("prediction__latency_ms")]
    predicted_at: Annotated[Moment | None, Column("prediction__created_at", raw=True)]


# a review, its gold and often the settling have the same one
@lru_cache(maxsize=64)
def moment(stored: Moment) -> datetime:
    """Parse a moment. The result is naive on SQLite and aware on PostgreSQL; both are in UTC."""
    return datetime.fromisoformat(stored)


def moment_or_none(stored: Moment | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)
