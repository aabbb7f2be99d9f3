"""Exports as files: a row says what was asked for, a worker writes one file a claim, and a killed worker costs one
file.

A file is written under another name, is brought to the disk, and counts from the moment that its row is there.
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
from annotation.exporting.formats import ExportFormat, UnknownFormat, columns_of, projection_of
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
    """A whole file, still under another name. `up_to` is the id of the last gold label that it took or dropped; `more`:
    others follow.
    """

    partial_path: Path
    path: Path
    sha256: str
    tally: Tally
    up_to: int
    more: bool


@dataclass(slots=True)
class _Taken:
    """What a file holds so far; as in _Written."""

    up_to: int
    more: bool = False
    tally: Tally = field(default_factory=Tally)


def request_export(
    *, request: ExportRequest, layout: ExportLayout, actor: User | None, by: str, rows_a_file: int = ROWS_A_FILE
) -> Export:
    """Ask for files of what stands now. Raises LayoutNotPossible."""
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
    """Write the next file of the oldest unfinished export, or of the one given. False: there was nothing to do."""
    _give_up()
    claim = _claim(export)
    if not claim.rows:
        return False
    try:
        with claim.kept():
            written = _write(claim.rows[0])
    except UnknownFormat as error:
        # another attempt would not know it either
        claim.give_back(state=ExportState.FAILED, error=str(error), finished_at=clock.now())
        return True
    except (OSError, RuntimeError, ValueError) as error:
        # a full disk, a field that Parquet does not know: again when the claim has run out
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
    """What the files hold, for who checks a download: sizes and SHA-256 of each."""
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
    """The row and the list of files stay, for the record."""
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
    for left in folder.glob(".*"):  # of a worker that was killed
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
    """The lines of the next file. The database is read, lines are made of it, and they are packed by three threads:
    the waiting for the first and zlib in the last leave this process's one interpreter to the second.
    """
    project, rows = projection_of(ExportFormat(export.format), with_media=export.with_media), 0
    chunks = reviewed_rows(only_hard=export.only_hard, after=export.done_up_to, up_to=export.top_gold)
    with closing(read_ahead(chunks)) as read:
        for chunk in read:
            part = chunk[: export.rows_a_file - rows]
            yield from lines_of(part, project, taken.tally)
            rows, taken.up_to = rows + len(part), part[-1].gold_id
            if rows == export.rows_a_file:
                taken.more = True
                return


def _store(claim: Claim[Export], written: _Written) -> None:
    """Take the file into the record, if it is still ours to write."""
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
    written.partial_path.unlink(missing_ok=True)  # without a row, or somebody else's by now
    if held and not written.more:
        export.refresh_from_db()
        (folder_of(export) / "manifest.json").write_bytes(
            orjson.dumps(manifest_of(export), option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
        )


def _give_up() -> int:
    """Exports of which one file could not be written in its attempts. Returns how many FAILED."""
    return Export.objects.filter(EXPORT_CLAIMS.worn_out()).update(
        state=ExportState.FAILED, finished_at=clock.now(), **EXPORT_CLAIMS.freed
    )
