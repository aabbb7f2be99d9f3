"""Value classes of ingestion: items ready to be stored, and rows that could not be read."""

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
    """An error in one field. `pointer` is a JSON pointer (RFC 6901) within the row; "" is the row itself."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class IncomingMedia:
    """Untrusted bytes, in memory or in a file, and a pointer to the field that contained them."""

    content: bytes | Path
    pointer: str


@dataclass(frozen=True, slots=True)
class About:
    """Marks a field that describes an item in addition to its content. The API documents and returns it.

    All row shapes except dataset rows accept it. `reads` is the FieldReader method that reads it; "text" requires a
    column without a length limit. Fields that are not `for_reviewers` are shown with the item but not with an
    assignment.
    """

    reads: Literal["mapping", "moment", "language", "text"]
    words: str = ""
    for_reviewers: bool = True


@dataclass(frozen=True, slots=True)
class IncomingItem:
    """A valid row. Each field except `media` is a column of Item.

    `modality` is the sender's claim, checked against the content; "" if there is none. `messages` came before prompt
    and response: [{"role", "text", "name", "media": [positions in `media`]}], the last two only where there are any.
    """

    external_id: str
    source: str
    prompt: str = ""
    response: str | None = None
    media: tuple[IncomingMedia, ...] = ()
    modality: str = ""
    messages: tuple[dict[str, Any], ...] = ()
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
    """A row that could not be read, with its errors."""

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


@dataclass(frozen=True, slots=True)
class OfWithdrawn(RowResult):
    """The item exists, was withdrawn by its sender, and stays so."""

    withdrawn: bool = True
