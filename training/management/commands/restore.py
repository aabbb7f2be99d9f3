"""`manage.py restore DIR`: replace this installation by a backup, while no part of the product runs."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from guardapp.supervisor.supervise import CannotStart, only_one
from training.installation.backup import RestoreNotPossible, restore


class Command(BaseCommand):
    help = "Verify a backup, restore it and migrate its database to this version."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="a backup made by `manage.py backup`")
        parser.add_argument(
            "--replace", action="store_true", help="replace the database of an installation that is not empty"
        )

    def handle(self, *args: Any, folder: Path, replace: bool, **options: Any) -> None:
        try:
            with only_one(settings.DATA_DIR / "up.lock"):
                copied = restore(folder.absolute(), self.stdout.write, replace=replace)
                call_command("migrate", verbosity=0, interactive=False)
        except (RestoreNotPossible, CannotStart) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"restored the database and {copied.files:,} files, {copied.bytes / 1e6:,.1f} MB")
