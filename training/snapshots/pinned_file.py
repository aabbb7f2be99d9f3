"""Immutable JSON-lines files, named by their sha256."""

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
    """A completely written file that does not have its final name yet."""

    written: Path
    sha256: str
    rows: int

    @property
    def name(self) -> str:
        return f"{self.sha256}.jsonl"

    def place(self) -> None:
        """Rename to the final name; identical content results in the same file."""
        self.written.replace(self.written.with_name(self.name))


@contextmanager
def pin(values: Iterable[dict[str, Any]], folder: Path) -> Iterator[Pinned]:
    """Write one value per line and sync to disk. Without a call of `place`, the file is deleted on exit.

    If the block raises after `place`, the file is deleted too, unless it existed before.
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
