"""Rows of a file as they stand, streamed: JSON lines, a JSON array, or parquet, told by the first bytes; gzip around
the first two.

Memory does not grow with the file. A row that is no JSON is a record with a problem, and takes no other row with it.
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
    """Where a row stands, from 1: JSON lines have lines, parquet has rows, an array has both."""

    line: int = 0
    row: int = 0

    @property
    def number(self) -> int:
        """Its own in the file."""
        return self.row or self.line

    def __str__(self) -> str:
        return ", ".join(f"{word} {number}" for word, number in (("line", self.line), ("row", self.row)) if number)


@dataclass(frozen=True, slots=True)
class Record:
    """One row."""

    place: Place
    value: Any = None
    problem: str = ""
    text: str = ""  # the row as it stands, where it is no JSON


def records(path: Path) -> Iterator[Record]:
    """Raises FileNotReadable, also after rows."""
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
    except (OSError, EOFError, NotAnArray) as error:  # a broken gzip file is one of the first two
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
    """The first character that is no blank; the stream stays where it was."""
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
        # the marked exception: it comes with the extra "train", the web needs none
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
