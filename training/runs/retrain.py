"""Retrain in one step: snapshot everything reviewed so far, then queue a run or pipeline on it."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.models import ModelVersion, User
from annotation.predictions.production import production_or_none
from training.errors import NoProduction
from training.models import DatasetSnapshot, Pipeline, RetrainSchedule, TrainingRun
from training.recipes import DEFAULT, Recipe, checked, recipe_named
from training.runs.idempotency import once
from training.runs.pipelines import Overrides, checked_stages, request_pipeline, stages_of
from training.runs.request import checked_launch, request_run
from training.snapshots.create import SnapshotFilters, create_snapshot
from training.status import RunKind


def retrain(
    *,
    requested_by: User,
    recipe: Recipe | str = DEFAULT,
    overrides: Mapping[str, Any] | None = None,
    launch: Mapping[str, Any] | None = None,
    filters: SnapshotFilters | None = None,
    name: str = "",
    key: str = "",
) -> TrainingRun:
    """Create a snapshot and fine-tune the production version on it.

    Its evaluations follow automatically. The caller rings the doorbell. A second request with the same `key` returns
    the first one's run. Raises AskedAlready, NoProduction, NotEnoughGold, GoldChanged, SnapshotNameTaken,
    RecipeUnknown, SettingUnknown or LaunchNotUsable.
    """

    def make() -> TrainingRun:
        base, chosen = production_to_train_from(), _recipe(recipe)
        # validate before a snapshot freezes gold in vain
        chosen.settings(RunKind.SFT)
        checked(overrides or {}, RunKind.SFT)
        checked_launch(RunKind.SFT, launch or {})
        return request_run(
            snapshot=_snapshot(requested_by, name, filters),
            base_version=base,
            requested_by=requested_by,
            recipe=chosen,
            overrides=overrides,
            launch=launch,
        )

    return once(key=key, kind=TrainingRun, make=make)


def retrain_in_stages(
    *,
    requested_by: User,
    recipe: Recipe | str = DEFAULT,
    stages: Sequence[str] = (),
    overrides: Overrides | None = None,
    launch: Mapping[str, Any] | None = None,
    filters: SnapshotFilters | None = None,
    name: str = "",
    schedule: RetrainSchedule | None = None,
    key: str = "",
) -> Pipeline:
    """Create a snapshot and queue a pipeline from production, see runs.pipelines.request_pipeline.

    Raises what `retrain` raises, or StagesNotUsable.
    """

    def make() -> Pipeline:
        base, chosen = production_to_train_from(), _recipe(recipe)
        for kind in checked_stages(stages or stages_of(chosen)):
            chosen.settings(kind)
            checked((overrides or {}).get(kind, {}), kind)
            checked_launch(kind, launch or {})
        snapshot = _snapshot(requested_by, name, filters)
        return request_pipeline(
            snapshot=snapshot,
            base_version=base,
            requested_by=requested_by,
            recipe=chosen,
            stages=stages,
            overrides=overrides,
            launch=launch,
            schedule=schedule,
        )

    return once(key=key, kind=Pipeline, make=make)


def production_to_train_from() -> ModelVersion:
    """The current production version. Raises NoProduction."""
    base = production_or_none()
    if base is None:
        raise NoProduction
    return base


def _recipe(recipe: Recipe | str) -> Recipe:
    return recipe_named(recipe) if isinstance(recipe, str) else recipe


def _snapshot(person: User, name: str, filters: SnapshotFilters | None) -> DatasetSnapshot:
    return create_snapshot(created_by=person, name=name, filters=filters or SnapshotFilters())
