"""Request, cancel, resume and copy training runs of every kind."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from annotation.database import clock
from annotation.models import Event, ModelVersion, User
from annotation.status import EventKind
from training.errors import NotATraining, PredecessorEnded, RunNotCancellable, RunNotResumable, ScheduleBusy
from training.models import DatasetSnapshot, Pipeline, TrainingRun
from training.recipes import CONFIGS, DEFAULT, PLACES, Recipe, checked, config_for, from_toml, recipe_named, to_toml
from training.recipes.checks import check_together
from training.recipes.launch import launch_from
from training.runs.followers import requeue_followers, run_ended, settle
from training.runs.job_config import address_of, places
from training.snapshots.create import verify_snapshot, verify_trainable
from training.status import RunKind, RunStatus

ENDED_BADLY = (RunStatus.FAILED, RunStatus.CANCELLED)


def request_run(
    *,
    snapshot: DatasetSnapshot,
    base_version: ModelVersion,
    requested_by: User,
    kind: str = RunKind.SFT,
    recipe: Recipe | str = DEFAULT,
    overrides: Mapping[str, Any] | None = None,
    launch: Mapping[str, Any] | None = None,
    after: TrainingRun | None = None,
    mined_from: TrainingRun | None = None,
    name: str = "",
) -> TrainingRun:
    """Queue a run. The caller rings the doorbell after commit, and uses runs.idempotency.once for forms.

    `after` must succeed before the run starts; `mined_from` is the mining whose kept rows it trains on. Raises
    RecipeUnknown, SettingUnknown, LaunchNotUsable, SnapshotDamaged, NotATraining or PredecessorEnded.
    """
    verify_trainable(snapshot)
    return queue_run(
        snapshot=snapshot,
        base_version=base_version,
        requested_by=requested_by,
        kind=kind,
        recipe=recipe,
        overrides=overrides or {},
        launch=launch or {},
        after=after,
        mined_from=mined_from,
        name=name,
    )


def queue_run(
    *,
    snapshot: DatasetSnapshot,
    base_version: ModelVersion,
    requested_by: User,
    kind: str,
    recipe: Recipe | str,
    overrides: Mapping[str, Any],
    launch: Mapping[str, Any],
    after: TrainingRun | None = None,
    mined_from: TrainingRun | None = None,
    pipeline: Pipeline | None = None,
    name: str = "",
) -> TrainingRun:
    """`request_run` without verifying the snapshot's file again."""
    chosen = recipe_named(recipe) if isinstance(recipe, str) else recipe
    check_order(kind=kind, after=after, mined_from=mined_from)
    found = places(kind=kind, base=base_version, snapshot=snapshot, mined_from=mined_from)
    config = config_for(chosen, kind, places=found, overrides={"threads": settings.WORKER_THREADS, **overrides})
    address_of(getattr(config, "server", ""))
    run = TrainingRun(
        kind=kind,
        recipe=chosen.name,
        recipe_text=to_toml(chosen, {kind: overrides}),
        launch=checked_launch(kind, launch),
        snapshot=snapshot,
        base_version=base_version,
        after=after,
        mined_from=mined_from,
        pipeline=pipeline,
        config=asdict(config),
    )
    return _queue(run, requested_by, name)


def clone_run(
    *,
    run: TrainingRun,
    requested_by: User,
    overrides: Mapping[str, Any] | None = None,
    launch: Mapping[str, Any] | None = None,
) -> TrainingRun:
    """Queue a copy of a run, with the same settings except `overrides` and `launch`.

    Raises what `request_run` raises.
    """
    verify_snapshot(run.snapshot)
    check_order(kind=run.kind, after=run.after, mined_from=run.mined_from)
    config = CONFIGS[run.kind](**(run.config | checked(overrides or {}, run.kind)))
    check_together(config)
    address_of(getattr(config, "server", ""))
    text = to_toml(from_toml(run.recipe_text), {run.kind: overrides or {}}) if run.recipe_text else ""
    copy = TrainingRun(
        kind=run.kind,
        recipe=run.recipe,
        recipe_text=text,
        launch=run.launch if launch is None else checked_launch(run.kind, launch),
        snapshot=run.snapshot,
        base_version=run.base_version,
        after=run.after,
        mined_from=run.mined_from,
        cloned_from=run,
        config=asdict(config),
    )
    return _queue(copy, requested_by, "")


def check_order(*, kind: str, after: TrainingRun | None, mined_from: TrainingRun | None) -> None:
    """Check what the run depends on. Raises NotATraining or PredecessorEnded."""
    if mined_from is not None and mined_from.kind != RunKind.MINE:
        raise NotATraining(
            _("%(run)s is not a mining: choose one whose kept rows this run trains on.") % {"run": mined_from}
        )
    if mined_from is not None and kind == RunKind.MINE:
        raise NotATraining(_("A mining reads a snapshot, not the rows that another mining kept."))
    if kind == RunKind.DPO and mined_from is None:
        raise NotATraining(_("DPO learns from rollouts: choose the mining whose kept rows it trains on."))
    for one in (after, mined_from):
        if one is not None and one.status in ENDED_BADLY:
            raise PredecessorEnded
    if (
        mined_from is not None
        and mined_from.status != RunStatus.SUCCEEDED
        and (after is None or after.pk != mined_from.pk)
    ):
        raise NotATraining(_("%(run)s has not ended yet: let this run wait for it.") % {"run": mined_from})


def checked_launch(kind: str, launch: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the launch settings; mining always uses a single process. Raises LaunchNotUsable."""
    launch_from(launch)
    return {} if kind == RunKind.MINE else dict(launch)


def _queue(run: TrainingRun, person: User, name: str) -> TrainingRun:
    with transaction.atomic():
        run.name, run.requested_by = name or uuid.uuid4().hex, person
        run.save(force_insert=True)
        if not name:
            run.name = f"r{run.pk}"
            run.save(update_fields=["name"])
        Event.objects.create(
            kind=EventKind.RUN_REQUESTED,
            actor=person,
            detail={"run": run.name, "kind": run.kind, "snapshot": run.snapshot.name},
        )
    return run


def cancel_run(*, run: TrainingRun) -> None:
    """Cancel a queued run at once, or ask a running job to stop with a checkpoint. Raises RunNotCancellable."""
    now = clock.now()
    rows = TrainingRun.objects.filter(pk=run.pk)
    with transaction.atomic():
        queued = rows.filter(status=RunStatus.QUEUED)
        if queued.update(status=RunStatus.CANCELLED, cancel_requested_at=now, finished_at=now) == 1:
            run_ended(run, RunStatus.CANCELLED)
            return
    if rows.filter(status=RunStatus.RUNNING).update(cancel_requested_at=now) != 1:
        raise RunNotCancellable


def resume_run(*, run: TrainingRun) -> None:
    """Requeue a failed or cancelled run and those that waited for it; it resumes from the newest checkpoint.

    Raises RunNotResumable, PredecessorEnded or ScheduleBusy.
    """
    if run.after is not None and run.after.status in ENDED_BADLY:
        raise PredecessorEnded
    try:
        with transaction.atomic():
            stopped = TrainingRun.objects.filter(pk=run.pk, status__in=ENDED_BADLY)
            if (
                stopped.update(
                    status=RunStatus.QUEUED, cancel_requested_at=None, finished_at=None, attempts=0, error=""
                )
                != 1
            ):
                raise RunNotResumable
            requeue_followers(run)
            settle(run.pipeline_id)
    except IntegrityError:
        raise ScheduleBusy from None


def editable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The editable settings of a job's config: all except the places."""
    return {name: value for name, value in config.items() if name not in PLACES}
