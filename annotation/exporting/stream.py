"""Streamed exports: projections of the reviewed rows, with counts of dropped rows by reason."""

import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any

import orjson
from django.conf import settings

from annotation.database.read_ahead import read_ahead
from annotation.exporting.formats import FORMATS, ExportFormat, projection_of
from annotation.exporting.projection import Drop, Projection
from annotation.exporting.reviewed_rows import holds_media, reviewed_rows
from annotation.exporting.values import ExportedMedia, ReviewedRow
from annotation.media.files import original
from annotation.models import Event, User
from annotation.status import EventKind
from guardapp.guard.media.errors import MediaError

LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
ROWS_OF_A_BLOCK = 100  # small, so that other requests to this process are not delayed


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The requested export. `only_hard` restricts it to rows whose gold contradicts the guard."""

    format: ExportFormat
    only_hard: bool = False

    @property
    def file_stem(self) -> str:
        return f"guardapp-{self.format}{'-hard' if self.only_hard else ''}"


@dataclass(slots=True)
class Tally:
    """Counts of the rows exported so far and of those dropped, by reason."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "dropped": dict(self.dropped)}


def record_export(*, request: ExportRequest, actor: User | None, by: str, **more: int | str) -> Event:
    """Create the audit entry. Call this before sending the first row, so that aborted downloads are recorded too."""
    detail = {"format": request.format.value, "only_hard": request.only_hard, "by": by, **more}
    return Event.objects.create(kind=EventKind.EXPORTED, actor=actor, detail=detail)


def export_lines(
    *, request: ExportRequest, tally: Tally | None = None, media: dict[str, ExportedMedia] | None = None
) -> Iterator[bytes]:
    """Yield JSONL in blocks of whole lines.

    `tally` is updated along the way; `media`, if given, collects the media of the rows by uri.
    """
    tally = Tally() if tally is None else tally
    matters = FORMATS[request.format].projection_with_media is not None
    project = projection_of(request.format, with_media=matters and holds_media(only_hard=request.only_hard))
    chunks = reviewed_rows(only_hard=request.only_hard, whole=FORMATS[request.format].whole)
    with closing(read_ahead(chunks)) as read:
        for chunk in read:
            yield from lines_of(chunk, project, tally, media)


def lines_of(
    rows: Sequence[ReviewedRow], project: Projection, tally: Tally, media: dict[str, ExportedMedia] | None = None
) -> Iterator[bytes]:
    """Yield the rows as blocks of whole lines. `tally` and `media` are as in `export_lines`."""
    for start in range(0, len(rows), ROWS_OF_A_BLOCK):
        block: list[bytes] = []
        for row in rows[start : start + ROWS_OF_A_BLOCK]:
            projected = project(row)
            if isinstance(projected, Drop):
                tally.dropped[projected.value] += 1
                continue
            block.append(orjson.dumps(projected, option=LINE))
            if media is not None:
                media.update((medium.uri, medium) for medium in row.media)
        tally.rows += len(block)
        if block:
            yield b"".join(block)


def summarise(*, request: ExportRequest) -> Tally:
    """Run the projection and return only the counts."""
    tally = Tally()
    for _ in export_lines(request=request, tally=tally):
        pass
    return tally


def export_archive(*, request: ExportRequest) -> IO[bytes]:
    """Return a ZIP archive with rows.jsonl, media under the names used in the rows, and summary.json.

    The archive is an open, unnamed file.
    """
    tally, media = Tally(), dict[str, ExportedMedia]()
    archive = tempfile.TemporaryFile(dir=settings.DATA_DIR)  # noqa: SIM115  (the caller streams it and closes it)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        with target.open("rows.jsonl", "w", force_zip64=True) as rows:
            for block in export_lines(request=request, tally=tally, media=media):
                rows.write(block)
        missing = _write_media(target, media.values())
        target.writestr(
            "summary.json",
            orjson.dumps({**tally.as_json(), "media": len(media) - len(missing), "media_missing": missing}),
        )
    archive.seek(0)
    return archive


def _write_media(target: zipfile.ZipFile, media: Iterable[ExportedMedia]) -> list[str]:
    missing = []
    for medium in media:
        try:
            with original(medium.store_path) as path:
                target.write(path, medium.uri, zipfile.ZIP_STORED)  # media is already compressed
        except MediaError:
            missing.append(medium.uri)
    return missing
