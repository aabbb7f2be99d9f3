"""Exports to files, requested by a database row.

A worker writes one file per claim, so a killed worker loses only one file. A file is written under a
temporary name and synced to disk; it becomes part of the export when its row is created.
"""

import hashlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction

from annotation.database import clock
from annotation.database.claims import Claim
from annotation.database.read_ahead import read_ahead
from annotation.errors import ServiceError
from annotation.exporting.formats import FORMATS, ExportFormat, UnknownFormat, columns_of, projection_of
from annotation.exporting.reviewed_rows import holds_media, reviewed_rows, standing_gold
from annotation.exporting.stream import ExportRequest, Tally, lines_of, record_export
from annotation.exporting.write_file import SUFFIX, ParquetMissing, writer_for
from annotation.models import Export, ExportFile, User
from annotation.models.claims import EXPORT_CLAIMS
from annotation.status import ExportLayout, ExportState

logger = logging.getLogger(__name__)

ROWS_A_FILE = 50_000
UNFINISHED = EXPORT_CLAIMS.open


class LayoutNotPossible(ServiceError):
    """This server cannot write Parquet: pyarrow is not installed. Ask for JSON lines."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A complete file under its temporary name.

    `up_to` is the id of the last gold label included or dropped; `more` is whether other files follow.
    """

    partial_path: Path
    path: Path
    sha256: str
    tally: Tally
    up_to: int
    more: bool


@dataclass(slots=True)
class _Taken:
    """The contents of a file so far. Fields are as in _Written."""

    up_to: int
    more: bool = False
    tally: Tally = field(default_factory=Tally)


def request_export(
    *, request: ExportRequest, layout: ExportLayout, actor: User | None, by: str, rows_a_file: int = ROWS_A_FILE
) -> Export:
    """Request files of the gold labels that stand now. Raises LayoutNotPossible."""
    with_media = holds_media(only_hard=request.only_hard)
    if layout is ExportLayout.PARQUET:
        try:
            columns_of(request.format, with_media=with_media)
        except ParquetMissing:
            raise LayoutNotPossible from None
    top = standing_gold(only_hard=request.only_hard).order_by("-pk").values_list("pk", flat=True).first()
    with transaction.atomic():
        made = Export.objects.create(
            format=request.format,
            only_hard=request.only_hard,
            with_media=with_media,
            layout=layout,
            rows_a_file=rows_a_file,
            top_gold=top or 0,
            asked_by=actor,
            created_at=clock.now(),
        )
        record_export(request=request, actor=actor, by=by, export=made.pk)
    return made


def write_next(*, export: Export | None = None) -> bool:
    """Write the next file of the given or the oldest unfinished export. Returns False if there is nothing to do."""
    _give_up()
    claim = _claim(export)
    if not claim.rows:
        return False
    try:
        with claim.kept():
            written = _write(claim.rows[0])
    except UnknownFormat as error:
        # retrying would give the same result
        claim.give_back(state=ExportState.FAILED, error=str(error), finished_at=clock.now())
        return True
    except (OSError, RuntimeError, ValueError) as error:
        # such as a full disk or a field missing from the Parquet schema; retried when the claim expires
        logger.exception("Export %s could not write its next file", claim.rows[0].pk)
        claim.held().update(error=f"{type(error).__name__}: {error}"[:2_000])
        return False
    _store(claim, written)
    return True


def exports_wait() -> bool:
    return Export.objects.filter(EXPORT_CLAIMS.free()).exists()


def folder_of(export: Export) -> Path:
    return Path(settings.EXPORTS_DIR) / str(export.pk)


def manifest_of(export: Export) -> dict[str, Any]:
    """Describe the export and its files, with sizes and SHA-256 sums to verify downloads."""
    return {
        "export": export.pk,
        "state": export.state,
        "format": export.format,
        "only_hard": export.only_hard,
        "layout": export.layout,
        "created_at": export.created_at,
        "finished_at": export.finished_at,
        "rows": export.rows,
        "dropped": export.dropped,
        "files": list(export.files.values("name", "size", "sha256", "rows")),
    }


def delete_files(*, export: Export) -> None:
    """Delete the files. The export's row and its list of files are kept for the record."""
    Export.objects.filter(pk=export.pk).update(pruned_at=clock.now())
    shutil.rmtree(folder_of(export), ignore_errors=True)


def _claim(export: Export | None) -> Claim[Export]:
    open_rows = Export.objects.filter(EXPORT_CLAIMS.fresh())
    if export is not None:
        open_rows = open_rows.filter(pk=export.pk)
    return EXPORT_CLAIMS.take(open_rows.order_by("id"))


def _write(export: Export) -> _Written:
    number = export.files.count()
    layout, format = ExportLayout(export.layout), ExportFormat(export.format)
    folder = folder_of(export)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ExportRequest(format, export.only_hard).file_stem}-{number:05d}.{SUFFIX[layout]}"
    partial_path = path.with_name(f".{path.name}.{export.claim_token}")
    for left in folder.glob(".*"):  # left by a killed worker
        left.unlink(missing_ok=True)
    taken = _Taken(export.done_up_to)
    columns = partial(columns_of, format, with_media=export.with_media)
    with writer_for(layout, columns, partial_path) as target, closing(read_ahead(_blocks(export, taken))) as blocks:
        for block in blocks:
            target.write(block)
    with partial_path.open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
        os.fsync(whole.fileno())
    return _Written(partial_path, path, digest, taken.tally, taken.up_to, taken.more)


def _blocks(export: Export, taken: _Taken) -> Iterator[bytes]:
    """Yield the lines of the next file.

    Reading the database, building lines and compressing them run in separate threads: database waits and zlib release
    the interpreter lock for the building of lines.
    """
    format, rows = ExportFormat(export.format), 0
    project = projection_of(format, with_media=export.with_media, in_columns=export.layout == ExportLayout.PARQUET)
    chunks = reviewed_rows(
        only_hard=export.only_hard, after=export.done_up_to, up_to=export.top_gold, whole=FORMATS[format].whole
    )
    with closing(read_ahead(chunks)) as read:
        for chunk in read:
            part = chunk[: export.rows_a_file - rows]
            yield from lines_of(part, project, taken.tally)
            rows, taken.up_to = rows + len(part), part[-1].gold_id
            if rows == export.rows_a_file:
                taken.more = True
                return


def _store(claim: Claim[Export], written: _Written) -> None:
    """Record the file, if the export is still claimed."""
    now, export, tally = clock.now(), claim.rows[0], written.tally
    values = (
        {"state": ExportState.RUNNING, "finished_at": None}
        if written.more
        else {"state": ExportState.DONE, "finished_at": now}
    )
    with transaction.atomic():
        held = claim.give_back(
            done_up_to=written.up_to,
            rows=export.rows + tally.rows,
            dropped=dict(Counter(export.dropped) + tally.dropped),
            attempts=0,
            error="",
            **values,
        )
        if held and (tally.rows or not export.files.exists()):
            written.partial_path.replace(written.path)
            ExportFile.objects.create(
                export=export,
                number=export.files.count(),
                name=written.path.name,
                size=written.path.stat().st_size,
                sha256=written.sha256,
                rows=tally.rows,
                made_at=now,
            )
    written.partial_path.unlink(missing_ok=True)  # still present if the claim was lost
    if held and not written.more:
        export.refresh_from_db()
        (folder_of(export) / "manifest.json").write_bytes(
            orjson.dumps(manifest_of(export), option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
        )


def _give_up() -> int:
    """Mark exports that ran out of attempts to write a file as FAILED. Returns their number."""
    return Export.objects.filter(EXPORT_CLAIMS.worn_out()).update(
        state=ExportState.FAILED, finished_at=clock.now(), **EXPORT_CLAIMS.freed
    )
