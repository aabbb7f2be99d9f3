"""What the importers of training read: rows whose media are still files, and rows that cannot be used."""

from dataclasses import dataclass, field
from typing import Any

from annotation.ingest.values import FieldError, IncomingMedia
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Verdict
from training.corpora.records import Place


@dataclass(frozen=True, slots=True)
class ImportedMedium:
    """An untrusted file; `kind` is what the row says it is, None where it does not say."""

    source: IncomingMedia
    kind: MediaKind | None = None


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that could be read. `place` and `value` are for a complaint that comes later, when its media are
    decoded.
    """

    place: Place
    id: str
    prompt: str
    response: str | None
    verdict: Verdict
    media: tuple[ImportedMedium, ...] = ()
    completion: str = ""
    extra: dict[str, Any] = field(default_factory=dict)  # further fields of the snapshot row
    value: Any = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: where it is, why, and the row as it stands."""

    place: Place
    errors: tuple[FieldError, ...]
    value: Any = None

    @property
    def words(self) -> str:
        return " ".join(f"{error.pointer.removeprefix('/') or 'the row'} {error.detail}" for error in self.errors)

    def as_json(self) -> dict[str, Any]:
        return {
            "at": str(self.place),
            "errors": [{"field": error.pointer, "detail": error.detail} for error in self.errors],
            "row": self.value,
        }
