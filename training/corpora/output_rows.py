"""Read another guard's completions: {"id", "output_text"} and optional "label", "benchmark" and "model"."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotation.ingest.read_fields import FieldReader
from annotation.ingest.values import FieldError
from training.corpora.records import Place, Record, records
from training.corpora.values import BadRow

MAX_ID = 300


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One completion. `label`, `benchmark` and `guard` are the file's own statements, "" if absent."""

    place: Place
    id: str
    completion: str
    label: str = ""
    benchmark: str = ""
    guard: str = ""


def output_rows(path: Path) -> Iterator[OutputRow | BadRow]:
    """Stream a file. Raises FileNotReadable, also after yielding rows."""
    yield from map(read_output_row, records(path))


def read_output_row(record: Record) -> OutputRow | BadRow:
    """Validate one record. An empty completion is valid: the guard generated nothing."""
    if record.problem:
        return BadRow(record.place, (FieldError("", record.problem),), record.text)
    if not isinstance(record.value, dict):
        return BadRow(record.place, (FieldError("", "is not an object."),), record.value)
    reader = FieldReader(record.value, [])
    if not isinstance(record.value.get("output_text"), str):
        reader.refuse("output_text", "must be text: what the guard said.")
    row = OutputRow(
        record.place,
        reader.required("id", limit=MAX_ID),
        reader.text("output_text"),
        reader.text("label", limit=20),
        reader.text("benchmark", limit=100),
        reader.text("model", limit=100),
    )
    return BadRow(record.place, tuple(reader.errors), record.value) if reader.errors else row
