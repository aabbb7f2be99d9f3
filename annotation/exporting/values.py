"""Value classes of exports: a reviewed row with its reviews and media."""

from dataclasses import dataclass, replace
from datetime import datetime
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
    """A standing review, with the reviewer's pseudonym only.

    Like ReviewedRow, it is not frozen, because many thousands are created per second.
    """

    pseudonym: str
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


@dataclass(slots=True)
class ReviewedRow:
    """A standing gold label and its history. Fields read by the query come last."""

    policy: tuple[Any, ...]  # slug and number
    prompt_policy: str | None  # the policy text in the guard's prompt
    version: str | None
    reviews: list[ExportedReview]
    media: list[ExportedMedia]
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


def moment(stored: Moment) -> datetime:
    """Parse a moment. The result is naive on SQLite and aware on PostgreSQL; both are in UTC."""
    return datetime.fromisoformat(stored)
