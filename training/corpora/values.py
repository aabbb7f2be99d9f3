"""Values of the importers: rows with undecoded media, and rows that cannot be used."""

from dataclasses import dataclass, field
from typing import Any

from annotation.ingest.values import FieldError, IncomingMedia
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import ContextMessage, Verdict
from training.corpora.records import Place


@dataclass(frozen=True, slots=True)
class ImportedMedium:
    """An untrusted file; `kind` is the kind that the row states, None if it states none."""

    source: IncomingMedia
    kind: MediaKind | None = None


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A valid row. `place` and `value` serve error messages when its media are decoded later."""

    place: Place
    id: str
    prompt: str
    response: str | None
    verdict: Verdict
    media: tuple[ImportedMedium, ...] = ()
    context: tuple[ContextMessage, ...] = ()
    completion: str = ""
    extra: dict[str, Any] = field(default_factory=dict)  # further fields of the snapshot row
    value: Any = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its position, the reasons, and the raw row."""

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
