"""`manage.py export_metrics RUN --to FOLDER`: export a run's metrics to TensorBoard or Weights & Biases."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from training.contract import METRICS
from training.files import directory_of
from training.models import TrainingRun
from training.progress.metrics_file import by_step, lines_after
from training.progress.tensorboard import event_file_name, write_events


class Command(BaseCommand):
    help = (
        "Write a run's metrics as a TensorBoard event file: FOLDER/RUN/events.out.tfevents.… (`wandb sync "
        "FOLDER/RUN` reads it too)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", nargs="+", metavar="RUN", help="name of a run")
        parser.add_argument(
            "--to", type=Path, default=Path("tensorboard"), metavar="FOLDER", help="default: %(default)s"
        )

    def handle(self, *args: Any, run: list[str], to: Path, **options: Any) -> None:
        for name in run:
            found = TrainingRun.objects.filter(name=name).first()
            if found is None:
                raise CommandError(f"There is no run with the name {name!r}.")
            lines = by_step(lines_after(directory_of(found) / METRICS, 0)[0])
            if not lines:
                raise CommandError(f"{name} has no metrics yet.")
            began = (found.started_at or found.created_at).timestamp()
            folder = to / name
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / event_file_name(name, began)
            self.stdout.write(f"{path}: {write_events(path, lines, began=began):,} steps")
