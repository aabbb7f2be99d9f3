"""JSON lines that never change once they are written: the file is named after its sha256."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class Pinned:
    """A whole file that has not got its name yet."""

    written: Path
    sha256: str
    rows: int

    @property
    def name(self) -> str:
        return f"{self.sha256}.jsonl"

    def place(self) -> None:
        """Under its name: the same content is the same file."""
        self.written.replace(self.written.with_name(self.name))


@contextmanager
def pin(values: Iterable[dict[str, Any]], folder: Path) -> Iterator[Pinned]:
    """Write the values as they come, one a line; on disk for good. Left without `place`, the file is gone.

    Left by an error after `place`, it is gone as well, unless it was there before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", suffix=".jsonl", dir=folder)
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as lines:
            pinned = _write(values, lines, written)
        existed = (folder / pinned.name).exists()
        try:
            yield pinned
        except BaseException:
            if not existed and not written.exists():
                (folder / pinned.name).unlink(missing_ok=True)
            raise
    finally:
        written.unlink(missing_ok=True)


def _write(values: Iterable[dict[str, Any]], lines: IO[bytes], written: Path) -> Pinned:
    digest, rows = hashlib.sha256(), 0
    for value in values:
        line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        digest.update(line)
        lines.write(line)
        rows += 1
    lines.flush()
    os.fsync(lines.fileno())
    written.chmod(READ_ONLY)
    return Pinned(written, digest.hexdigest(), rows)
