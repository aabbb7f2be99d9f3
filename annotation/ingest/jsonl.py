"""Ingestion of JSONL files, streamed in chunks; bad lines are reported by number and do not affect other lines."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from annotation.ingest.read_media import MediaFinder, files_in_folder, no_files
from annotation.ingest.read_rows import read_row
from annotation.ingest.row_files import FileRow, row_of_line
from annotation.ingest.store_items import CHUNK, DEFAULT_QUEUE, ingest_items
from annotation.ingest.values import DEFAULT_SOURCE, FieldError, IncomingItem, RowProblem, RowStatus
from annotation.models import ApiKey, User

MAX_LINE_BYTES = 64 * 1024 * 1024
# of a file; with more of them than rows that are taken, the file is something else
MOST_REJECTED = 10_000
GZIP_MAGIC = b"\x1f\x8b"


class Lines(Protocol):
    """A binary stream, read line by line."""

    def readline(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class IngestReport:
    """The outcome of ingesting a file.

    `rejected` holds at most `kept` pairs of (line number from 1, errors), including conflicts.
    """

    created: int = 0
    exists: int = 0
    rejected_count: int = 0
    rejected: list[tuple[int, tuple[FieldError, ...]]] = field(default_factory=list)
    kept: int = 1_000

    @property
    def lines(self) -> int:
        return self.created + self.exists + self.rejected_count

    def stop(self, line: int) -> None:
        """Say first that nothing after this line was read."""
        words = f"has more than {MOST_REJECTED:,} rows that cannot be taken before it. Nothing after it was read."
        self.rejected.insert(0, (line, (FieldError("", words),)))

    def reject(self, line: int, errors: tuple[FieldError, ...]) -> None:
        self.rejected_count += 1
        if len(self.rejected) < self.kept:
            self.rejected.append((line, errors))


def ingest_rows(
    *,
    rows: Iterable[FileRow],
    source: str = DEFAULT_SOURCE,
    key: ApiKey | None = None,
    actor: User | None = None,
    media_root: Path | None = None,
    queue: str = DEFAULT_QUEUE,
    progress: Callable[[IngestReport], None] | None = None,
) -> IngestReport:
    """Store the rows of a file, in one transaction per chunk of at most 1,000. Sending a file again is safe.

    `source` applies to rows without one. `media_root` is the folder that media paths are relative to; without it, rows
    may only contain media as data: URLs. `progress` is called after each chunk. Raises QueueNotFound, FileNotReadable.
    """
    find = files_in_folder(media_root) if media_root is not None else no_files
    report = IngestReport()
    given = iter(rows)
    while chunk := _chunk(given):
        read = [_read(row, source, find) for row in chunk]
        results = ingest_items(rows=read, key=key, actor=actor, queue=queue)
        for row, result in zip(chunk, results, strict=True):
            if result.status is RowStatus.CREATED:
                report.created += 1
            elif result.status is RowStatus.EXISTS:
                report.exists += 1
            else:
                report.reject(row.number, result.errors)
        if progress is not None:
            progress(report)
        if report.rejected_count > max(MOST_REJECTED, report.created + report.exists):
            report.stop(chunk[-1].number)
            break
    return report


def ingest_jsonl(*, lines: Iterable[bytes], **options: Any) -> IngestReport:
    """Call `ingest_rows` on JSON lines, skipping blank ones."""
    return ingest_rows(rows=_of_lines(lines), **options)


def _of_lines(lines: Iterable[bytes]) -> Iterator[FileRow]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_BYTES:
            yield FileRow(number, problem=f"is longer than {MAX_LINE_BYTES:,} bytes.")
        elif line.strip():
            yield row_of_line(number, line)


def bounded_lines(stream: Lines) -> Iterator[bytes]:
    """Yield the lines of a stream. Overlong lines are cut just beyond the limit; the rest is never held in memory."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)


def _chunk(rows: Iterator[FileRow]) -> list[FileRow]:
    """Return the next CHUNK rows, or fewer if they are long."""
    chunk: list[FileRow] = []
    held = 0
    for row in islice(rows, CHUNK):
        chunk.append(row)
        held += row.size
        if held > MAX_LINE_BYTES:
            break
    return chunk


def _read(row: FileRow, source: str, find: MediaFinder) -> IncomingItem | RowProblem:
    if row.problem:
        return RowProblem("", (FieldError("", row.problem),))
    return read_row(row.value, default_source=source, find=find)
