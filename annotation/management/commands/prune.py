"""`manage.py prune`: delete data past its retention period, or count what would be deleted."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from annotation.operations.retention import BLOCK, CLASSES, days_of, prune


class Command(BaseCommand):
    help = (
        "Delete what has been kept for its days (GUARDAPP_RETENTION). Nothing that a snapshot, a hard sample or an "
        "open item needs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--only", choices=sorted(CLASSES), default="", help="one class")
        parser.add_argument(
            "--seconds", type=float, default=3_600, help="stop after so many; what is left goes the next time"
        )

    def handle(self, *args: Any, dry_run: bool, only: str, seconds: float, **options: Any) -> None:
        gone = prune(dry_run=dry_run, only=only, seconds=seconds)
        for name, kept in CLASSES.items():
            if only and only != name:
                continue
            days = days_of(name)
            count = gone.get(name)
            text = (
                "kept for ever"
                if not days
                else "not looked at"
                if count is None
                else (
                    f"{'over ' if dry_run and count >= BLOCK else ''}{count} "
                    f"{'would go' if dry_run else 'deleted'} after {days} days"
                )
            )
            self.stdout.write(f"{name}: {text} ({kept.what})")
