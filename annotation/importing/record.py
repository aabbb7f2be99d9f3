"""A canonical record as values, read from JSON of any version of the format.

Ids in a record belong to the installation that exported it: they only say which of its rows refer to which.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from annotation.ingest.values import IncomingAuthor, IncomingReport

Policy = tuple[str, int]  # slug and number


@dataclass(frozen=True, slots=True)
class Medium:
    """A file of the item. `uri` is its name in the export."""

    uri: str
    sha256: str
    mime: str
    kind: str
    pointer: str


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Columns of the item, its queue's slug, and the version whose prediction reviewers see."""

    columns: dict[str, Any]
    queue: str
    shown: str | None
    media: tuple[Medium, ...]
    author: IncomingAuthor | None
    reports: tuple[tuple[IncomingReport, datetime], ...]  # with the time of coming in

    @property
    def identity(self) -> tuple[str, str]:
        return self.columns["source"], self.columns["external_id"]


@dataclass(frozen=True, slots=True)
class PredictionFacts:
    version: str
    policy: Policy | None  # in the prompt
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    id: int
    reviewer: str  # pseudonym
    version: str | None
    policy: Policy
    round: int
    columns: dict[str, Any]
    upholds: int | None
    bulk: int | None
    of_hidden_gold: bool
    taken_back_at: datetime | None


@dataclass(frozen=True, slots=True)
class GoldFacts:
    id: int
    review: int
    version: str | None
    policy: Policy
    columns: dict[str, Any]
    hard: list[str] | None


@dataclass(frozen=True, slots=True)
class AppealFacts:
    id: int
    gold: int
    outcome: int | None
    opened_by: str | None
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HiddenGoldFacts:
    added_by: str | None
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventFacts:
    at: datetime
    kind: str
    actor: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One reviewed item with its history. Reviews, gold and appeals are in the order of their ids."""

    item: ItemFacts
    predictions: tuple[PredictionFacts, ...]
    reviews: tuple[ReviewFacts, ...]
    gold: tuple[GoldFacts, ...]
    final: GoldFacts
    events: tuple[EventFacts, ...]
    appeals: tuple[AppealFacts, ...] = ()
    hidden_gold: HiddenGoldFacts | None = None
    definitions: dict[str, Any] | None = field(default=None)
