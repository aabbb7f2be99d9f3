"""What comes in, as values: items ready to be stored, and rows that could not be read."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

MAX_BATCH = 1_000  # rows of one API request
MAX_TEXT_CHARACTERS = 200_000  # of a prompt, and of a response
MAX_METADATA_BYTES = 65_536
MAX_MEDIA_OF_AN_ITEM = 16
DEFAULT_SOURCE = "api"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. `pointer` is a JSON pointer (RFC 6901) inside the row; "" is the row itself."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class IncomingMedia:
    """Untrusted bytes, in memory or in a file, and the field that they came in."""

    content: bytes | Path
    pointer: str


@dataclass(frozen=True, slots=True)
class IncomingItem:
    """One row that could be read. `modality` is the sender's claim, checked against the content; "" where none was
    made.
    """

    external_id: str
    source: str
    prompt: str = ""
    response: str | None = None
    media: tuple[IncomingMedia, ...] = ()
    modality: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    reason: dict[str, Any] = field(default_factory=dict)
    reported_at: datetime | None = None
    language: str = ""  # BCP 47


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One row that could not be read, and why."""

    external_id: str
    errors: tuple[FieldError, ...]


class RowStatus(StrEnum):
    """What became of a row. "conflict": the id is taken by an item with other content, which stays as it is."""

    CREATED = "created"
    EXISTS = "exists"
    CONFLICT = "conflict"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RowResult:
    """The answer for one row, in the order of the request."""

    index: int
    status: RowStatus
    id: int | None
    external_id: str
    errors: tuple[FieldError, ...] = ()
