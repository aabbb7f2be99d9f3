"""Pipelines: the stages of a recipe as a sequence of runs on one snapshot."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from annotation.models import Event, ModelVersion, User
from annotation.status import EventKind
from training.errors import RunNotCancellable, ScheduleBusy, StagesNotUsable
from training.models import DatasetSnapshot, Pipeline, RetrainSchedule, TrainingRun
from training.recipes import DEFAULT, Recipe, from_toml, recipe_named
from training.runs.request import cancel_run, queue_run
from training.snapshots.create import verify_trainable
from training.status import OPEN, RunKind

ORDER = (RunKind.SFT, RunKind.MINE, RunKind.GRPO, RunKind.DPO)
REINFORCING = (RunKind.GRPO, RunKind.DPO)
Overrides = Mapping[str, Mapping[str, Any]]  # by kind of run


def stages_of(recipe: Recipe) -> tuple[RunKind, ...]:
    """The default stages of a recipe's pipeline, in order. With both GRPO and DPO, GRPO follows the mining."""
    known = [kind for kind in ORDER if kind in recipe.stages]
    return tuple(kind for kind in known if kind != RunKind.DPO or RunKind.GRPO not in known)


def request_pipeline(
    *,
    snapshot: DatasetSnapshot,
    base_version: ModelVersion,
    requested_by: User,
    recipe: Recipe | str = DEFAULT,
    stages: Sequence[str] = (),
    overrides: Overrides | None = None,
    launch: Mapping[str, Any] | None = None,
    schedule: RetrainSchedule | None = None,
    cloned_from: Pipeline | None = None,
) -> Pipeline:
    """Queue the runs of all stages, each waiting for the one before; `stages=()` means those of the recipe.

    The caller rings the doorbell after commit. The result of the last stage is evaluated against production; nothing is
    promoted. Raises RecipeUnknown, SettingUnknown, LaunchNotUsable, SnapshotDamaged, StagesNotUsable or ScheduleBusy.
    """
    chosen = recipe_named(recipe) if isinstance(recipe, str) else recipe
    kinds = checked_stages(stages or stages_of(chosen))
    given: dict[str, dict[str, Any]] = {kind: dict((overrides or {}).get(kind, {})) for kind in kinds}
    unused = set(overrides or {}) - set(kinds)
    if unused:
        raise StagesNotUsable(
            _("There are settings for %(unused)s, but no such stage.") % {"unused": ", ".join(sorted(unused))}
        )
    verify_trainable(snapshot)
    try:
        with transaction.atomic():
            pipeline = Pipeline.objects.create(
                name=uuid.uuid4().hex,
                recipe=chosen.name,
                launch=dict(launch or {}),
                snapshot=snapshot,
                base_version=base_version,
                schedule=schedule,
                cloned_from=cloned_from,
                requested_by=requested_by,
                stages=[{"kind": kind, "overrides": given[kind]} for kind in kinds],
            )
            pipeline.name = f"p{pipeline.pk}"
            pipeline.save(update_fields=["name"])
            _queue_stages(pipeline, chosen, given)
            Event.objects.create(
                kind=EventKind.RUN_REQUESTED,
                actor=requested_by,
                detail={"pipeline": pipeline.name, "snapshot": snapshot.name},
            )
    except IntegrityError:
        if schedule is not None and schedule.pipelines.filter(status__in=OPEN).exists():
            raise ScheduleBusy from None
        raise
    return pipeline


def _queue_stages(pipeline: Pipeline, recipe: Recipe, overrides: Overrides) -> None:
    """GRPO and DPO train on the mined rows; each stage starts from the version of the last training before it."""
    before: TrainingRun | None = None
    for kind, changed in overrides.items():
        mining = before if before is not None and before.kind == RunKind.MINE else None
        before = queue_run(
            snapshot=pipeline.snapshot,
            base_version=pipeline.base_version,
            requested_by=pipeline.requested_by,
            kind=kind,
            recipe=recipe,
            overrides=changed,
            launch=pipeline.launch,
            after=before,
            mined_from=mining,
            pipeline=pipeline,
        )


def checked_stages(stages: Sequence[str]) -> tuple[RunKind, ...]:
    """Check order and completeness. Raises StagesNotUsable."""
    unknown = [stage for stage in stages if stage not in RunKind.values]
    if unknown:
        raise StagesNotUsable(
            _("%(unknown)s is not a stage. Known: %(known)s.")
            % {"unknown": repr(unknown[0]), "known": ", ".join(RunKind.values)}
        )
    kinds = tuple(RunKind(stage) for stage in stages)
    if len(kinds) < 2 or kinds != tuple(kind for kind in ORDER if kind in kinds) or set(REINFORCING) <= set(kinds):
        raise StagesNotUsable(
            _("%(stages)s: a pipeline has at least two of sft, mine, and one of grpo or dpo, in this order.")
            % {"stages": " → ".join(kinds) or _("nothing")}
        )
    if RunKind.MINE in kinds and kinds[-1] == RunKind.MINE:
        raise StagesNotUsable(_("A pipeline does not end with mining: name grpo or dpo after it."))
    if RunKind.DPO in kinds and RunKind.MINE not in kinds:
        raise StagesNotUsable(_("DPO learns from rollouts: name mine before it."))
    return kinds


def clone_pipeline(
    *,
    pipeline: Pipeline,
    requested_by: User,
    overrides: Overrides | None = None,
    launch: Mapping[str, Any] | None = None,
) -> Pipeline:
    """Copy a pipeline with its snapshot, base, recipe and settings, except `overrides`. The copy has no schedule.

    Raises what `request_pipeline` raises.
    """
    asked = {stage["kind"]: stage["overrides"] for stage in pipeline.stages}
    changed = overrides or {}
    return request_pipeline(
        snapshot=pipeline.snapshot,
        base_version=pipeline.base_version,
        requested_by=requested_by,
        recipe=recipe_of(pipeline),
        stages=tuple(asked),
        overrides={kind: {**asked.get(kind, {}), **changed.get(kind, {})} for kind in {**asked, **changed}},
        launch=pipeline.launch if launch is None else launch,
        cloned_from=pipeline,
    )


def recipe_of(pipeline: Pipeline) -> Recipe:
    """The recipe as it was requested: presets may have changed since, and edited recipes are stored only here."""
    return from_toml(pipeline.runs.order_by("id")[0].recipe_text)


def cancel_pipeline(*, pipeline: Pipeline) -> None:
    """Cancel the pipeline's current run and the runs that wait for it. Raises RunNotCancellable."""
    present = pipeline.runs.filter(status__in=OPEN).order_by("id").first()
    if present is None:
        raise RunNotCancellable
    cancel_run(run=present)
