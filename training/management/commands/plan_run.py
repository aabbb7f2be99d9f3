"""`manage.py plan_run --recipe omni-v2 --snapshot NAME`: dry run of a training."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.models import ModelVersion
from annotation.predictions.production import production_or_none
from training.errors import TrainingError
from training.learning.rows import RowNotReadable
from training.models import DatasetSnapshot
from training.plan import as_lines
from training.plan.pace import plan_stages
from training.recipes import CONFIGS, DEFAULT, Recipe, RecipeUnknown, SettingUnknown, from_toml
from training.recipes.launch import STRATEGIES, LaunchNotUsable


class Command(BaseCommand):
    help = "Estimate the rows, steps, memory and time of a training without starting it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--recipe", default=DEFAULT, help="a preset (default: %(default)s)")
        parser.add_argument("--toml", type=Path, metavar="FILE", help="a recipe as TOML, instead of --recipe")
        parser.add_argument("--snapshot", metavar="NAME", help="default: the newest")
        parser.add_argument("--base", metavar="NAME", help="the version to start from (default: production)")
        parser.add_argument(
            "--stages", nargs="+", choices=list(CONFIGS), default=[], help="default: all of the recipe's"
        )
        parser.add_argument("--processes", type=int, default=1)
        parser.add_argument("--strategy", choices=STRATEGIES, default="none")

    def handle(self, *args: Any, recipe: str, toml: Path | None, stages: list[str], **options: Any) -> None:
        try:
            made = plan_stages(
                snapshot=_snapshot(options["snapshot"]),
                base_version=_version(options["base"]),
                recipe=_read(toml) if toml else recipe,
                stages=stages,
                launch={"processes": options["processes"], "strategy": options["strategy"]},
            )
        except (RecipeUnknown, SettingUnknown, LaunchNotUsable, RowNotReadable, TrainingError) as error:
            raise CommandError(str(error)) from error
        for line in as_lines(made):
            self.stdout.write(line)


def _read(path: Path) -> Recipe:
    """Read a TOML recipe. Raises CommandError, SettingUnknown or RecipeUnknown."""
    try:
        return from_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"--toml: {error}") from error


def _snapshot(name: str | None) -> DatasetSnapshot:
    found = DatasetSnapshot.objects.filter(**({"name": name} if name else {})).order_by("-id").first()
    if found is None:
        raise CommandError(
            f"--snapshot: there is none with the name {name!r}." if name else "There is no snapshot yet."
        )
    return found


def _version(name: str | None) -> ModelVersion:
    found = ModelVersion.objects.filter(name=name).first() if name else production_or_none()
    if found is None:
        raise CommandError(
            f"--base: there is none with the name {name!r}." if name else "No version is in production yet."
        )
    return found
