"""`manage.py export`: write reviewed rows to a file or standard output, or as the files of a resumable export."""

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import ServiceError
from annotation.exporting.export_files import ROWS_A_FILE, folder_of, request_export, write_next
from annotation.exporting.formats import ExportFormat, UnknownFormat
from annotation.exporting.stream import ExportRequest, Tally, export_archive, export_lines, record_export
from annotation.models import Export
from annotation.status import ExportLayout, ExportState

BY = "manage.py export"


class Command(BaseCommand):
    help = (
        "Export reviewed rows: as JSONL, with --zip as an archive that holds their media too, with --files as files in "
        "the data folder."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--format", choices=[one.value for one in ExportFormat], default=ExportFormat.CANONICAL.value
        )
        parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
        parser.add_argument("--hard", action="store_true", help="only rows whose gold contradicts the guard")
        parser.add_argument("--zip", action="store_true", help="an archive with the media")
        parser.add_argument(
            "--files", choices=ExportLayout.values, help="files of --rows-a-file rows with a manifest, for much data"
        )
        parser.add_argument("--rows-a-file", type=int, default=ROWS_A_FILE, metavar="N")
        parser.add_argument("--resume", type=int, metavar="EXPORT", help="go on with an export that was broken off")

    def handle(
        self,
        *args: Any,
        format: str,
        out: Path | None,
        hard: bool,
        zip: bool,
        files: str | None,
        rows_a_file: int,
        resume: int | None,
        **options: Any,
    ) -> None:
        try:
            request = ExportRequest(ExportFormat(format), only_hard=hard)
        except UnknownFormat as error:
            raise CommandError(str(error)) from None
        if files or resume:
            if out or zip:
                raise CommandError(
                    "--out and --zip are for exports without --files: files are written to the data folder."
                )
            if rows_a_file < 1:
                raise CommandError("--rows-a-file must be at least 1.")
            return self._write_files(self._export(request, files, rows_a_file, resume))
        record_export(request=request, actor=None, by=BY)
        if out is None:
            return self._write(request, zip, sys.stdout.buffer)
        with out.open("wb") as target:
            return self._write(request, zip, target)

    def _export(self, request: ExportRequest, files: str | None, rows_a_file: int, resume: int | None) -> Export:
        if resume is None:
            try:
                layout = ExportLayout(files or ExportLayout.JSONL)
                return request_export(request=request, layout=layout, actor=None, by=BY, rows_a_file=rows_a_file)
            except ServiceError as error:
                raise CommandError(str(error)) from error
        try:
            return Export.objects.get(pk=resume)
        except Export.DoesNotExist:
            raise CommandError(f"There is no export {resume}.") from None

    def _write_files(self, export: Export) -> None:
        while write_next(export=export):
            export.refresh_from_db()
            self.stdout.write(f"export {export.pk}: {export.rows} rows, {export.share:.0%}")
        export.refresh_from_db()
        if export.state == ExportState.FAILED:
            raise CommandError(f"Export {export.pk} has failed: {export.error}")
        if export.state != ExportState.DONE:
            why = export.error or "another process writes it, or was killed less than a minute ago"
            raise CommandError(f"Export {export.pk} is not finished ({why}). Go on with --resume {export.pk}.")
        self.stdout.write(f"{export.rows} rows in {folder_of(export)}; dropped: {_dropped(export.dropped)}.")

    def _write(self, request: ExportRequest, zipped: bool, target: IO[bytes]) -> None:
        if zipped:
            with export_archive(request=request) as archive:
                shutil.copyfileobj(archive, target)
            return
        tally = Tally()
        for block in export_lines(request=request, tally=tally):
            target.write(block)
        self.stderr.write(f"{tally.rows} rows; dropped: {_dropped(tally.dropped)}.")


def _dropped(dropped: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())) or "none"
