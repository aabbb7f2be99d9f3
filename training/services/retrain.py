"""The one step that a lead takes: everything reviewed so far becomes a snapshot, and the snapshot a run."""

from collections.abc import Mapping
from typing import Any

from annotation.models import ModelVersion, User
from annotation.status import VersionStatus
from training.models import TrainingRun
from training.recipes import DEFAULT, checked, recipe_named
from training.services.errors import NoProduction
from training.services.runs import request_run
from training.services.snapshots import SnapshotFilters, create_snapshot


def retrain(*, requested_by: User, recipe: str = DEFAULT, overrides: Mapping[str, Any] | None = None,
            filters: SnapshotFilters | None = None, name: str = "") -> TrainingRun:
    """Snapshot, then a run from production. Its evaluations follow by themselves.

    Raises NoProduction, NotEnoughGold, GoldChanged, SnapshotNameTaken, RecipeUnknown, SettingUnknown; the caller rings.
    """
    base = ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).first()
    if base is None:
        raise NoProduction
    recipe_named(recipe)
    settings = checked(overrides or {})  # before gold is frozen by a snapshot that nobody then uses
    snapshot = create_snapshot(created_by=requested_by, name=name, filters=filters or SnapshotFilters())
    return request_run(snapshot=snapshot, base_version=base, requested_by=requested_by, recipe=recipe, overrides=settings)
