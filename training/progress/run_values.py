"""Data of a run's page: charts, hazards, rollouts, settings, environment, disk usage, pipeline."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from training.contract import CHECKPOINTS, ENVIRONMENT, METRICS, MINED, PROGRESS, ROLLOUTS, read_json
from training.files import directory_of
from training.models import Evaluation, TrainingRun
from training.progress.charts import fields_of, rows_of
from training.progress.hazards import Hazard, hazards
from training.progress.metrics_file import by_step, last_lines, lines_after, thinned
from training.progress.provenance import Sourced, sourced
from training.progress.rollouts import Rollouts, mined, sampled
from training.recipes import RecipeUnknown, SettingUnknown, from_toml
from training.status import RunKind, RunStatus
from training.versions.lists import duration

QUIET_S = 60  # a warning is shown if the heartbeat is older


@dataclass(frozen=True, slots=True)
class Curve:
    """New figures of a run: `rows` as in training.progress.charts.rows_of, and the `cursor` for the next request."""

    kind: str
    rows: list[list[float | int | None]]
    cursor: int

    @property
    def latest(self) -> dict[str, float | int | None]:
        """The newest figures by name; {} if nothing is logged yet."""
        return dict(zip(fields_of(self.kind), self.rows[-1], strict=True)) if self.rows else {}


@dataclass(frozen=True, slots=True)
class Disk:
    """Disk usage in bytes. `model` is the finished model, outside the run directory."""

    run: int
    checkpoints: int
    model: int


@dataclass(frozen=True, slots=True)
class Link:
    """A run or evaluation of a pipeline."""

    words: str
    job: TrainingRun | Evaluation
    here: bool

    @property
    def is_run(self) -> bool:
        return isinstance(self.job, TrainingRun)


def curve(run: TrainingRun, cursor: int = 0) -> Curve:
    """The figures after `cursor`, at most CURVE_POINTS steps."""
    lines, reached = lines_after(directory_of(run) / METRICS, cursor)
    return Curve(run.kind, rows_of(run.kind, thinned(by_step(lines))), reached)


def hazards_of(run: TrainingRun) -> list[Hazard]:
    return hazards(by_step(last_lines(directory_of(run) / METRICS)))


def rollouts_of(run: TrainingRun, step: int | None, page: int) -> Rollouts:
    run_dir = directory_of(run)
    return mined(run_dir / MINED, page) if run.kind == RunKind.MINE else sampled(run_dir / ROLLOUTS, step, page)


def has_rollouts(run: TrainingRun) -> bool:
    return run.kind in (RunKind.MINE, RunKind.GRPO)


def heartbeat_age(run: TrainingRun) -> float | None:
    """Seconds since the job last wrote its progress; None if it has not, or is not running."""
    if run.status != RunStatus.RUNNING:
        return None
    try:
        return max(0.0, time.time() - (directory_of(run) / PROGRESS).stat().st_mtime)
    except FileNotFoundError:
        return None


def heartbeat_words(run: TrainingRun) -> str:
    age = heartbeat_age(run)
    return "" if age is None else _("Last sign of life %(age)s ago") % {"age": duration(age)}


def is_quiet(run: TrainingRun) -> bool:
    return (heartbeat_age(run) or 0.0) > QUIET_S


def settings_of(run: TrainingRun) -> list[Sourced]:
    """The run's settings compared with the preset that its recipe is based on."""
    try:
        preset = from_toml(run.recipe_text).preset or run.recipe
    except (RecipeUnknown, SettingUnknown):
        # the preset or a setting no longer exists
        preset = run.recipe
    return sourced(run.kind, preset, run.config)


def environment_of(run: TrainingRun) -> dict[str, Any]:
    """Read environment.json; {} if the job has not started yet."""
    found = read_json(directory_of(run) / ENVIRONMENT)
    return found if isinstance(found, dict) else {}


def disk_of(run: TrainingRun) -> Disk:
    run_dir = directory_of(run)
    model = _size(Path(settings.MODELS_DIR) / run.name) if run.version_id else 0
    return Disk(run=_size(run_dir), checkpoints=_size(run_dir / CHECKPOINTS), model=model)


def pipeline_of(run: TrainingRun) -> list[Link]:
    """The runs in order, then the evaluation of the last version; [] for a run outside a pipeline."""
    if run.pipeline_id is None:
        return []
    runs = list(TrainingRun.objects.filter(pipeline=run.pipeline_id).select_related("version").order_by("id"))
    links = [Link(str(RunKind(one.kind).label), one, here=one.pk == run.pk) for one in runs]
    last = next((one.version for one in reversed(runs) if one.version), None)
    if last is not None:
        found = (
            Evaluation.objects.filter(version=last, snapshot=run.snapshot).select_related("version").order_by("-id")[:1]
        )
        links += [Link("Evaluation", evaluation, here=False) for evaluation in found]
    return links


def _size(folder: Path) -> int:
    """Total bytes of the files below; files removed in the meantime are ignored."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
