"""Imports canonical exports: each record is one item with its whole history.

Safe to repeat and to break off: a record that is here already is left alone, and records are stored in transactions of
a few. A record that cannot be taken is named, and the others go in. No webhook is told: nothing was decided here.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson
from django.db import Error, transaction

from annotation.database import clock
from annotation.importing.fields import RecordNotReadable
from annotation.importing.places import Places, new_places, place_definitions
from annotation.importing.read_record import read_record
from annotation.importing.record import Medium, Record
from annotation.importing.sources import Line, Source, open_source
from annotation.importing.store_record import AnotherHistory, is_stored, store_record
from annotation.ingest.jsonl import MAX_LINE_BYTES
from annotation.ingest.values import FieldError
from annotation.media.store import FOLDER, register, store
from annotation.models import Event, MediaAsset, User
from annotation.status import EventKind
from guardapp.guard.media.errors import MediaError

AT_ONCE = 100  # records of a transaction
KEPT = 1_000


@dataclass(slots=True)
class ImportReport:
    """What became of the records. `rejected` holds at most KEPT of them: file, line and error."""

    created: int = 0
    exists: int = 0
    rejected_count: int = 0
    rejected: list[tuple[str, int, FieldError]] = field(default_factory=list)

    @property
    def lines(self) -> int:
        return self.created + self.exists + self.rejected_count

    def reject(self, line: Line, error: FieldError) -> None:
        self.rejected_count += 1
        if len(self.rejected) < KEPT:
            self.rejected.append((line.file, line.number, error))


@dataclass(frozen=True, slots=True)
class _Job:
    source: Source
    places: Places
    report: ImportReport
    without_media: bool


def import_canonical(
    *,
    path: Path,
    media: Path | None = None,
    without_media: bool = False,
    by: User | None = None,
    progress: Callable[[ImportReport], None] | None = None,
) -> ImportReport:
    """Import a file or folder. `without_media` takes items whose files are missing, as if they had been pruned.

    Raises ExportNotReadable, MediaStoreAway.
    """
    report = ImportReport()
    with open_source(path, media) as source:
        job = _Job(source, new_places(), report, without_media)
        lines = source.lines()
        while chunk := list(islice(lines, AT_ONCE)):
            _import_chunk(job, chunk)
            if progress is not None:
                progress(report)
    detail = {"file": path.name, "created": report.created, "exists": report.exists, "rejected": report.rejected_count}
    Event.objects.create(kind=EventKind.IMPORTED, actor=by, at=clock.now(), detail=detail)
    return report


def _import_chunk(job: _Job, lines: Sequence[Line]) -> None:
    created = 0
    with transaction.atomic():
        for line, record in _readable(job, lines):
            try:
                with transaction.atomic():
                    if is_stored(record):
                        job.report.exists += 1
                        continue
                    store_record(record, job.places, _assets(job, record))
                    created += 1
            except RecordNotReadable as error:
                _back_to(job, line, error.error)
            except AnotherHistory as error:
                _back_to(job, line, FieldError("/item/external_id", f"{error.__doc__}"))
            except (Error, KeyError) as error:
                _back_to(job, line, FieldError("", f"does not fit together: {type(error).__name__}: {error}"[:300]))
    job.report.created += created


def _back_to(job: _Job, line: Line, error: FieldError) -> None:
    """Reject a record whose savepoint was rolled back."""
    job.report.reject(line, error)
    job.places.forget_rows()


def _readable(job: _Job, lines: Sequence[Line]) -> Iterator[tuple[Line, Record]]:
    for line in lines:
        try:
            if len(line.text) > MAX_LINE_BYTES:
                raise RecordNotReadable("", f"is longer than {MAX_LINE_BYTES:,} bytes.")
            record = read_record(orjson.loads(line.text))
            if record.definitions is not None:
                place_definitions(job.places, record.definitions)
        except orjson.JSONDecodeError as error:
            job.report.reject(line, FieldError("", f"is no JSON: {error}."))
        except RecordNotReadable as error:
            _back_to(job, line, error.error)
        else:
            yield line, record


def _assets(job: _Job, record: Record) -> dict[str, int]:
    """The ids of the item's media by sha256, stored if they are not yet. Raises RecordNotReadable, MediaStoreAway."""
    found: dict[str, int] = {}
    for medium in record.item.media:
        if medium.sha256 not in found:
            found[medium.sha256] = _asset(job, medium)
    return found


def _asset(job: _Job, medium: Medium) -> int:
    known = MediaAsset.objects.filter(sha256=medium.sha256).first()
    if known is not None and known.deleted_at is None:
        return known.pk
    path = job.source.media(medium)
    if path is None:
        if not job.without_media:
            raise RecordNotReadable(
                f"{medium.pointer}/uri",
                "names a file that is not beside the rows. Import the archive with media, name the media folder, or "
                "import without media.",
            )
        return known.pk if known is not None else _gone(medium)
    if _sum_of(path) != medium.sha256:
        raise RecordNotReadable(f"{medium.pointer}/sha256", "is not the sum of the file: it was changed or cut off.")
    try:
        stored = store(path, as_it_is=True)
    except MediaError as error:
        raise RecordNotReadable(f"{medium.pointer}/uri", str(error)) from error
    return register([stored])[medium.sha256]


def _gone(medium: Medium) -> int:
    """A row for a file whose bytes are not here, as retention leaves it."""
    path = f"{FOLDER}/{medium.sha256[:2]}/{medium.sha256[2:]}"
    return MediaAsset.objects.create(
        sha256=medium.sha256, kind=medium.kind, mime=medium.mime, size=0, path=path, deleted_at=clock.now()
    ).pk


def _sum_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
