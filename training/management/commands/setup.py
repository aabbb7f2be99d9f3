"""`manage.py setup`: what a team set-up runs once after each upgrade, before its web and worker processes start."""

from typing import Any

from django.core.management.base import BaseCommand

from training.installation.first_start import prepare


class Command(BaseCommand):
    help = "Migrate, collect static files, make the first accounts and the first guard. Safe to repeat."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        prepare(self.stdout.write)
