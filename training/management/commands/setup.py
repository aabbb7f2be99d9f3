"""`manage.py setup`: prepare a team installation, once after each upgrade and before its processes start."""

from typing import Any

from django.core.management.base import BaseCommand

from training.installation.first_start import prepare


class Command(BaseCommand):
    help = "Migrate, collect static files, create the first accounts and the first guard. Safe to repeat."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        prepare(self.stdout.write)
