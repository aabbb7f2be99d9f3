"""`manage.py import_canonical FILE|FOLDER`: import a canonical export into this installation."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import ServiceError
from annotation.importing.import_canonical import ImportReport, import_canonical
from guardapp.guard.media.errors import MediaStoreAway


class Command(BaseCommand):
    help = (
        "Import a canonical export: items with their predictions, reviews, gold labels, policies and history. FILE is "
        "JSON lines, plain or .gz, or the ZIP archive with media; FOLDER holds such files. Safe to repeat and to break "
        "off: records that are here already are left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, metavar="FILE|FOLDER")
        parser.add_argument(
            "--media",
            type=Path,
            metavar="FOLDER",
            help="where the media is: an unpacked archive, or the media folder of the other installation",
        )
        parser.add_argument("--without-media", action="store_true", help="take items whose media is missing, too")

    def handle(self, *args: Any, path: Path, media: Path | None, without_media: bool, **options: Any) -> None:
        if not path.exists():
            raise CommandError(f"There is no file or folder {path}.")
        if media is not None and not media.is_dir():
            raise CommandError(f"There is no folder {media}.")
        try:
            report = import_canonical(path=path, media=media, without_media=without_media, progress=self._show)
        except (ServiceError, MediaStoreAway) as error:
            raise CommandError(str(error)) from error
        for file, line, why in report.rejected:
            self.stderr.write(f"{file}, line {line}: {why.pointer.removeprefix('/') or 'the record'} {why.detail}")
        self.stdout.write(
            f"{report.created} imported, {report.exists} there already, {report.rejected_count} rejected."
        )
        if report.rejected_count and not report.created + report.exists:
            raise CommandError("No record could be taken.")

    def _show(self, report: ImportReport) -> None:
        self.stdout.write(f"{report.lines} records …", ending="\r" if self.stdout.isatty() else "\n")
