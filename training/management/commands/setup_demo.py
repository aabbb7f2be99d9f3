"""`manage.py setup_demo`: create the generated demo queue."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from annotation.doorbell import ring
from annotation.tasks import predict
from training.installation.demo_queue import load_demo


class Command(BaseCommand):
    help = "Ingest generated demo items: text, pictures and clips. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--items", type=int, help="how many (default: GUARDAPP_DEMO_ITEMS)")

    def handle(self, *args: Any, items: int | None, **options: Any) -> None:
        created = load_demo(count=settings.DEMO_ITEMS if items is None else items)
        self.stdout.write(f"{created} demo items are new.")
        if created:
            ring(predict)
