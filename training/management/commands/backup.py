"""`manage.py backup DIR`: copy database, media, models, snapshots and runs to a folder while the product runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training.installation.backup import BackupNotPossible, back_up


class Command(BaseCommand):
    help = "Copy all data of this installation to a new folder."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="the folder to create; it must not exist yet")
        parser.add_argument(
            "--without-media", action="store_true", help="leave media in its bucket, which has copies of its own"
        )

    def handle(self, *args: Any, folder: Path, without_media: bool, **options: Any) -> None:
        try:
            copied = back_up(folder.absolute(), self.stdout.write, without_media=without_media)
        except BackupNotPossible as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{folder}: the database and {copied.files:,} files, {copied.bytes / 1e6:,.1f} MB")
