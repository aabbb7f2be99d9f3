"""What comes in, as values: items ready to be stored, and rows that could not be read."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

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
class About:
    """Marks a field that says something about an item, beside its content. Every shape of rows takes it, and the API
    documents and shows it.

    `reads` names the method of FieldReader that reads it; "text" wants a column without a limit. What is not
    `for_reviewers` is shown with the item, but not with an assignment.
    """

    reads: Literal["mapping", "moment", "language", "text"]
    words: str = ""
    for_reviewers: bool = True


@dataclass(frozen=True, slots=True)
class IncomingItem:
    """One row that could be read. Each field but `media` is a column of Item.

    `modality` is the sender's claim, checked against the content; "" where none was made.
    """

    external_id: str
    source: str
    prompt: str = ""
    response: str | None = None
    media: tuple[IncomingMedia, ...] = ()
    modality: str = ""
    metadata: Annotated[dict[str, Any], About("mapping", for_reviewers=False)] = field(default_factory=dict)
    reason: Annotated[dict[str, Any], About("mapping", "why it was flagged, e.g. {policy_id, text}")] = field(
        default_factory=dict
    )
    reported_at: Annotated[datetime | None, About("moment")] = None
    language: Annotated[str, About("language", "BCP 47; metadata.language counts where this is missing")] = ""


COLUMNS = tuple(one.name for one in fields(IncomingItem) if one.name != "media")
ABOUT: dict[str, About] = {
    name: mark
    for name, hint in get_type_hints(IncomingItem, include_extras=True).items()
    for mark in getattr(hint, "__metadata__", ())
}
ABOUT_FOR_REVIEWERS = tuple(name for name, about in ABOUT.items() if about.for_reviewers)


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
