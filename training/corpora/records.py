"""Stream the raw rows of a file: JSON lines, a JSON array or parquet, detected by the first bytes.

The first two may be gzipped. Memory use does not grow with the file. A row that is not JSON becomes a record with a
problem and does not affect other rows.
"""

import codecs
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from annotation.ingest.jsonl import GZIP_MAGIC, MAX_LINE_BYTES, bounded_lines
from training.corpora.json_array import NotAnArray, elements

PARQUET_MAGIC = b"PAR1"
PARQUET_BATCH = 64  # rows


class FileNotReadable(ValueError):
    """The file cannot be read to its end; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a row, from 1: JSON lines have lines, parquet has rows, an array has both."""

    line: int = 0
    row: int = 0

    @property
    def number(self) -> int:
        """The row's number in the file."""
        return self.row or self.line

    def __str__(self) -> str:
        return ", ".join(f"{word} {number}" for word, number in (("line", self.line), ("row", self.row)) if number)


@dataclass(frozen=True, slots=True)
class Record:
    """One raw row."""

    place: Place
    value: Any = None
    problem: str = ""
    text: str = ""  # the raw text, if it is not JSON


def records(path: Path) -> Iterator[Record]:
    """Stream the rows of a file. Raises FileNotReadable, also after yielding rows."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(PARQUET_MAGIC))
        if magic == PARQUET_MAGIC:
            yield from _parquet(path)
            return
        with _unpacked(path) as stream:
            head = stream.read(len(codecs.BOM_UTF8))
            if head != codecs.BOM_UTF8:
                stream.seek(0)
            if _first_character(stream) == b"[":
                yield from (
                    _record(Place(line, row), text) for row, (line, text) in enumerate(elements(stream), start=1)
                )
            else:
                yield from (
                    _record(Place(line), text)
                    for line, text in enumerate(bounded_lines(stream), start=1)
                    if text.strip()
                )
    except (OSError, EOFError, NotAnArray) as error:
        # a broken gzip file raises one of the first two
        raise FileNotReadable(f"{path.name}: {error}") from error


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as plain:
        packed = plain.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        plain.seek(0)
        if packed:
            with gzip.open(plain) as stream:
                yield stream  # type: ignore[misc]  # GzipFile is a binary stream
        else:
            yield plain


def _first_character(stream: IO[bytes]) -> bytes:
    """Peek at the first non-blank character, leaving the position unchanged."""
    start = stream.tell()
    while (character := stream.read(1)).isspace():
        pass
    stream.seek(start)
    return character


def _record(place: Place, text: bytes) -> Record:
    if len(text) > MAX_LINE_BYTES:
        return Record(
            place, problem=f"is longer than {MAX_LINE_BYTES:,} bytes.", text=text[:1000].decode("utf-8", "replace")
        )
    try:
        return Record(place, orjson.loads(text))
    except orjson.JSONDecodeError as error:
        return Record(place, problem=f"is not JSON: {error}", text=text.decode("utf-8", "replace").rstrip("\r\n"))


def _parquet(path: Path) -> Iterator[Record]:
    try:
        # a marked exception to top-level imports: it belongs to the extra "train", which the web does not need
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise FileNotReadable(
            f"{path.name} is a parquet file. To read it install the extra: pip install 'guardapp[train]'."
        ) from None
    try:
        with parquet.ParquetFile(path) as table:
            row = 0
            for batch in table.iter_batches(batch_size=PARQUET_BATCH):
                for value in batch.to_pylist():
                    row += 1
                    yield Record(Place(row=row), value)
    except ArrowException as error:
        raise FileNotReadable(f"{path.name}: {error}") from error
