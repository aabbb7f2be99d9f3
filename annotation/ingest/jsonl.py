"""JSONL files: one row a line, streamed, in chunks; bad lines are reported by number and take no other line with
them.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import orjson

from annotation.ingest.read_media import MediaFinder, files_in_folder, no_files
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import CHUNK, DEFAULT_QUEUE, ingest_items
from annotation.ingest.values import DEFAULT_SOURCE, FieldError, IncomingItem, RowProblem, RowStatus
from annotation.models import ApiKey, User

MAX_LINE_BYTES = 64 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"


class Lines(Protocol):
    """A binary stream that is read line by line."""

    def readline(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class IngestReport:
    """What became of a file. `rejected` holds (line number from 1, errors), conflicts included; at most `kept` of
    them.
    """

    created: int = 0
    exists: int = 0
    rejected_count: int = 0
    rejected: list[tuple[int, tuple[FieldError, ...]]] = field(default_factory=list)
    kept: int = 1_000

    @property
    def lines(self) -> int:
        return self.created + self.exists + self.rejected_count

    def reject(self, line: int, errors: tuple[FieldError, ...]) -> None:
        self.rejected_count += 1
        if len(self.rejected) < self.kept:
            self.rejected.append((line, errors))


def ingest_jsonl(
    *,
    lines: Iterable[bytes],
    source: str = DEFAULT_SOURCE,
    key: ApiKey | None = None,
    actor: User | None = None,
    media_root: Path | None = None,
    queue: str = DEFAULT_QUEUE,
    progress: Callable[[IngestReport], None] | None = None,
) -> IngestReport:
    """Each chunk of at most 1,000 rows is committed by itself, so a file that breaks off can be sent again. Raises
    QueueNotFound.

    `source` is for rows that name none. `media_root`: the folder that the rows' media paths are in; without it rows may
    carry media as data: URLs only. `progress` is called after each chunk.
    """
    find = files_in_folder(media_root) if media_root is not None else no_files
    report = IngestReport()
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while chunk := _chunk(numbered):
        rows = [_read_line(line, source, find) for _, line in chunk]
        for (number, _), result in zip(chunk, ingest_items(rows=rows, key=key, actor=actor, queue=queue), strict=True):
            if result.status is RowStatus.CREATED:
                report.created += 1
            elif result.status is RowStatus.EXISTS:
                report.exists += 1
            else:
                report.reject(number, result.errors)
        if progress is not None:
            progress(report)
    return report


def lines_of_file(path: Path) -> Iterator[bytes]:
    """The lines of a plain or gzip-compressed file, told by its first bytes."""
    with path.open("rb") as plain:
        packed = plain.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        plain.seek(0)
        if packed:
            with gzip.open(plain) as unpacked:
                yield from bounded_lines(unpacked)
        else:
            yield from bounded_lines(plain)


def bounded_lines(stream: Lines) -> Iterator[bytes]:
    """The lines of a stream; of one that is too long only as much as tells that it is. The rest of it is never held."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)


def _chunk(numbered: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The next CHUNK lines; fewer where they are long."""
    chunk: list[tuple[int, bytes]] = []
    held = 0
    for number, line in islice(numbered, CHUNK):
        chunk.append((number, line))
        held += len(line)
        if held > MAX_LINE_BYTES:
            break
    return chunk


def _read_line(line: bytes, source: str, find: MediaFinder) -> IncomingItem | RowProblem:
    if len(line) > MAX_LINE_BYTES:
        return RowProblem("", (FieldError("", f"is longer than {MAX_LINE_BYTES:,} bytes."),))
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return RowProblem("", (FieldError("", f"is not JSON: {error}"),))
    return read_row(row, default_source=source, find=find)
