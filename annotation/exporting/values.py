"""What an export is made of: a reviewed row with its reviews and its media."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from guardapp.guard.taxonomy import MediaKind

Json = str | None  # JSON as the database holds it: copied into an export without being read
Moment = str  # as the database writes it, for `moment`; in UTC


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
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
}


@dataclass(slots=True)
class ExportedReview:
    """A standing review. The person is named by pseudonym only. Not frozen, as the row below: many thousands are made a
    second.
    """

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
    created_at: Moment
    reason: str
    error_kinds: str


@dataclass(slots=True)
class ReviewedRow:
    """One standing gold label and all that led to it. The fields from `gold_id` on are the columns of the query
    below.
    """

    policy: tuple[Any, ...]  # slug and number
    prompt_policy: str | None  # the policy that stood in the guard's prompt
    version: str | None
    reviews: list[ExportedReview]
    media: list[ExportedMedia]
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
    created_at: Moment
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


def moment(stored: Moment) -> datetime:
    """SQLite's do not say that they are in UTC, and PostgreSQL's do."""
    return datetime.fromisoformat(stored)
