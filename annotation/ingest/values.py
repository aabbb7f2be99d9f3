"""Value classes of ingestion: items ready to be stored, and rows that could not be read."""

import hashlib
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import orjson

MAX_BATCH = 1_000  # rows of one API request
MAX_TEXT_CHARACTERS = 200_000  # of a prompt, and of a response
MAX_METADATA_BYTES = 65_536
MAX_MEDIA_OF_AN_ITEM = 16
MAX_REPORTS = 100  # of one row
MAX_REPORTS_BYTES = 262_144  # of one row, as JSON
MAX_THREAD = 100  # messages
MAX_THREAD_BYTES = 262_144  # as JSON
MAX_URL = 2_000  # characters
MAX_PERSON = 200  # characters of a name or an id of a person
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
class IncomingAuthor:
    """Who posted the content. `created_at` and `strikes` are the platform's; None and "" mean not told."""

    id: str
    name: str = ""
    url: str = ""
    created_at: datetime | None = None
    strikes: int | None = None


@dataclass(frozen=True, slots=True)
class IncomingReport:
    """Somebody's notice of the content. `reporter` is "" where nobody is named."""

    reporter: str = ""
    reason: dict[str, Any] = field(default_factory=dict)
    reported_at: datetime | None = None

    @property
    def digest(self) -> str:
        """What makes it the same report as another: reporter, reason and time."""
        at = self.reported_at and self.reported_at.isoformat()
        written = orjson.dumps([self.reporter, self.reason, at], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        return hashlib.sha256(written).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class About:
    """Marks a field that describes an item in addition to its content. The API documents and returns it.

    All row shapes except dataset rows accept it. `reads` names its reader (read_rows.READERS); "text" requires a
    column without a length limit. Fields that are not `for_reviewers` are shown with the item but not with an
    assignment.
    """

    reads: Literal["mapping", "moment", "language", "text", "address", "author", "thread", "reports"]
    words: str = ""
    for_reviewers: bool = True


@dataclass(frozen=True, slots=True)
class IncomingItem:
    """A valid row. Each field except `media` and `reports` is a column of Item; `author` becomes a row of Author.

    `reason` and `reported_at` are the first report, unless `reports` has one with the same reason and time.

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
    url: Annotated[str, About("address", "where it stands on the platform: http or https")] = ""
    author: Annotated[
        IncomingAuthor | None,
        About("author", "who posted it: {id, name, url, created_at, strikes}; id is needed, the newest facts count"),
    ] = None
    thread: Annotated[
        list[dict[str, Any]],
        About("thread", "what stands around it: [{id, author, text, media, at, position: before, after or parent}]"),
    ] = field(default_factory=list)
    reports: Annotated[
        tuple[IncomingReport, ...],
        About(
            "reports",
            "[{reporter, reason, reported_at}]; a new one is added to an item that exists. reason and reported_at of "
            "the row are the first",
        ),
    ] = ()

    @property
    def all_reports(self) -> dict[str, IncomingReport]:
        """The row's different reports by their digests, the row's own reason and time first."""
        if not self.reports:
            if not self.reason and self.reported_at is None:
                return {}
            own = IncomingReport("", self.reason, self.reported_at)
            return {own.digest: own}
        given = list(self.reports)
        told = bool(self.reason) or self.reported_at is not None
        if told and not any((one.reason, one.reported_at) == (self.reason, self.reported_at) for one in given):
            given.insert(0, IncomingReport("", self.reason, self.reported_at))
        return {one.digest: one for one in given}


COLUMNS = tuple(one.name for one in fields(IncomingItem) if one.name not in ("media", "author", "reports"))
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
    reports_added: int = 0  # to an item that existed
    reopened: bool = False  # by these reports


@dataclass(frozen=True, slots=True)
class OfWithdrawn(RowResult):
    """The item exists, was withdrawn by its sender, and stays so."""

    withdrawn: bool = True
