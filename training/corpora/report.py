"""What became of the rows of an imported file. Bad rows are saved unchanged, to be corrected and imported again."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from training.corpora.values import BadRow

# bad rows kept in memory; the file has all of them
SHOWN = 100


@dataclass(slots=True)
class ImportReport:
    """Counts of rows. `dropped`: valid rows that were left out, by reason. `bad`: the first bad rows."""

    taken: int = 0
    bad_count: int = 0
    bad: list[BadRow] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    progress: Callable[["ImportReport"], None] | None = None

    @property
    def rows(self) -> int:
        return self.taken + self.bad_count + self.dropped.total()

    def refuse(self, row: BadRow) -> None:
        self.bad_count += 1
        if len(self.bad) < SHOWN:
            self.bad.append(row)


class BadRows:
    """A file of bad rows, created with the first one. Without a call of `place`, it is deleted on exit."""

    def __init__(self, folder: Path, report: ImportReport) -> None:
        self.folder = folder
        self.report = report
        self.stream: IO[bytes] | None = None

    def add(self, row: BadRow) -> None:
        self.report.refuse(row)
        if self.stream is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.stream = tempfile.NamedTemporaryFile(  # noqa: SIM115
                prefix=".new-", suffix=".bad.jsonl", dir=self.folder, delete=False
            )
        self.stream.write(
            json.dumps(row.as_json(), ensure_ascii=False, default=_in_words).encode("utf-8", "replace") + b"\n"
        )

    def place(self, name: str) -> None:
        """Give the file its final name; does nothing without bad rows."""
        if self.stream is not None:
            self.stream.close()
            Path(self.stream.name).replace(self.folder / name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stream is not None:
            self.stream.close()
            Path(self.stream.name).unlink(missing_ok=True)


def _in_words(value: Any) -> str:
    """Represent parquet values that JSON lacks."""
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)
