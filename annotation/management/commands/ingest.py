"""`manage.py ingest FILE`: import items from JSON lines, a JSON array or CSV, plain, .gz or .zip."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.doorbell import ring
from annotation.errors import MediaNotReached
from annotation.ingest.jsonl import IngestReport, ingest_rows
from annotation.ingest.row_files import FileNotReadable, rows_of_file
from annotation.ingest.store_items import DEFAULT_QUEUE, QueueNotFound
from annotation.tasks import predict


class Command(BaseCommand):
    help = (
        "Ingest the rows of a file: JSON lines, a JSON array or CSV, plain, .gz or .zip. "
        "Safe to repeat: rows that are there already are left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", help="source of rows that name none (default: the file's name)")
        parser.add_argument(
            "--media-root",
            type=Path,
            help="folder that the media paths start from (default: the nearest with a media folder)",
        )
        parser.add_argument("--queue", default=DEFAULT_QUEUE)

    def handle(
        self, *args: Any, file: Path, source: str | None, media_root: Path | None, queue: str, **options: Any
    ) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        try:
            with file.open("rb") as stream:
                report = ingest_rows(
                    rows=rows_of_file(stream),
                    source=source or file.name.partition(".")[0],
                    media_root=media_root or _media_root_near(file),
                    queue=queue,
                    progress=self._show,
                )
        except (QueueNotFound, MediaNotReached, FileNotReadable) as error:
            raise CommandError(str(error)) from error
        for line, errors in report.rejected:
            text = " ".join(f"{error.pointer.removeprefix('/') or 'the row'} {error.detail}" for error in errors)
            self.stderr.write(f"line {line}: {text}")
        self.stdout.write(f"{report.created} created, {report.exists} there already, {report.rejected_count} rejected.")
        if report.created:
            ring(predict)
        if report.rejected_count and not report.created + report.exists:
            raise CommandError("No row could be taken.")

    def _show(self, report: IngestReport) -> None:
        self.stdout.write(f"{report.lines} lines …", ending="\r" if self.stdout.isatty() else "\n")


def _media_root_near(file: Path) -> Path:
    """The data set's root, to which media paths in rows are relative: the nearest folder with a `media` folder in it.

    Searches the file's folder and the two above it; falls back to the file's folder.
    """
    nearby = [file.resolve().parent, *list(file.resolve().parents)[1:3]]
    return next((folder for folder in nearby if (folder / "media").is_dir()), nearby[0])
