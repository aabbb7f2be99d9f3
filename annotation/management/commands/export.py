"""manage.py export: reviewed rows to a file or to standard output."""

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand

from annotation.services.export import ExportFormat, ExportRequest, Tally, export_archive, export_lines, record_export


class Command(BaseCommand):
    help = "Export reviewed rows as JSONL, or with --zip as an archive that holds their media too."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=[one.value for one in ExportFormat], default=ExportFormat.CANONICAL.value)
        parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
        parser.add_argument("--hard", action="store_true", help="only rows whose gold contradicts the guard")
        parser.add_argument("--zip", action="store_true", help="an archive with the media")

    def handle(self, *args: Any, format: str, out: Path | None, hard: bool, zip: bool, **options: Any) -> None:
        request = ExportRequest(ExportFormat(format), only_hard=hard)
        record_export(request=request, actor=None, by="manage.py export")
        if out is None:
            self._write(request, zip, sys.stdout.buffer)
        else:
            with out.open("wb") as target:
                self._write(request, zip, target)

    def _write(self, request: ExportRequest, zipped: bool, target: IO[bytes]) -> None:
        if zipped:
            with export_archive(request=request) as archive:
                shutil.copyfileobj(archive, target)
            return
        tally = Tally()
        for block in export_lines(request=request, tally=tally):
            target.write(block)
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.dropped.items())) or "none"
        self.stderr.write(f"{tally.rows} rows; dropped: {dropped}.")
