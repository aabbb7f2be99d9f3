"""Plan a recipe's stages on a snapshot, at the pace measured by earlier runs of this installation."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from annotation.models import ModelVersion
from annotation.predictions.loaded_engine import checkpoint_of
from training.models import DatasetSnapshot, TrainingRun
from training.plan import Pace, Plan, plan, read_checkpoint
from training.recipes import DEFAULT, Recipe, config_for, recipe_named
from training.recipes.launch import check_launch, gpus_here, launch_from
from training.runs.job_config import places
from training.runs.request import checked_launch
from training.snapshots.create import verify_snapshot
from training.status import RunKind, RunStatus

MOST_RUNS = 50
# by kind of run: the unit, and its key in result.json
MEASURED = {
    RunKind.SFT: ("tokens", "tokens"),
    RunKind.DPO: ("tokens", "tokens"),
    RunKind.MINE: ("rollouts", "drawn"),
    RunKind.GRPO: ("rollouts", "rollouts"),
}


def plan_stages(
    *,
    snapshot: DatasetSnapshot,
    base_version: ModelVersion,
    recipe: Recipe | str = DEFAULT,
    stages: Sequence[str] = (),
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    launch: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan these stages in this order; () means all of the recipe's. Nothing is written or started.

    Raises RecipeUnknown, SettingUnknown, LaunchNotUsable or SnapshotDamaged.
    """
    verify_snapshot(snapshot)
    chosen = recipe_named(recipe) if isinstance(recipe, str) else recipe
    kinds = tuple(stages) or tuple(chosen.stages)
    configs = {}
    launches = {}
    for kind in kinds:
        found = places(kind=kind, base=base_version, snapshot=snapshot, mined_from=None)
        given = {"threads": settings.WORKER_THREADS, **(overrides or {}).get(kind, {})}
        configs[kind] = config_for(chosen, kind, places=found, overrides=given)
        launches[kind] = launch_from(checked_launch(kind, launch or {}))
        check_launch(launches[kind], found, gpus=gpus_here())
    return plan(configs, launches=launches, paces={kind: paces(kind, base_version) for kind in kinds})


def paces(kind: str, base: ModelVersion) -> list[Pace]:
    """The pace of succeeded runs of this kind on a model of this size, newest first."""
    size = _parameters(base)
    runs = (
        TrainingRun.objects.filter(kind=kind, status=RunStatus.SUCCEEDED)
        .select_related("base_version")
        .order_by("-finished_at")
    )
    unit, key = MEASURED[RunKind(kind)]
    return [
        Pace(unit, run.result[key] / run.result["seconds"], run.name, int(run.launch.get("processes", 1)))
        for run in runs[:MOST_RUNS]
        if run.result.get(key)
        and run.result.get("seconds")
        and (run.base_version_id == base.pk or _is_of(size, run.base_version))
    ]


def _is_of(size: int | None, version: ModelVersion) -> bool:
    return size is not None and size == _parameters(version)


def _parameters(version: ModelVersion) -> int | None:
    checkpoint = read_checkpoint(checkpoint_of(version))
    return checkpoint.parameters if checkpoint else None
