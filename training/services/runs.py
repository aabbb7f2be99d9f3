"""Training runs: asked for, cancelled, resumed, copied, and turned into a candidate when their job is done."""

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation.models import Event, ModelVersion, User
from annotation.services.serving import checkpoint_of, stored_checkpoint
from annotation.status import EventKind, VersionStatus
from training.contract import CHECKPOINTS, MODEL
from training.models import DatasetSnapshot, TrainingRun
from training.places import file_of
from training.recipes import DEFAULT, PLACES, checked, recipe_named, sft_config
from training.services.errors import RunNotCancellable, RunNotResumable
from training.services.evaluations import request_evaluation
from training.services.snapshots import verify_snapshot
from training.status import RunStatus


def request_run(*, snapshot: DatasetSnapshot, base_version: ModelVersion, requested_by: User, recipe: str = DEFAULT,
                overrides: Mapping[str, Any] | None = None, name: str = "") -> TrainingRun:
    """Queue a training. Raises RecipeUnknown, SettingUnknown, SnapshotDamaged; the caller rings after commit."""
    verify_snapshot(snapshot)
    settings_of_machine = {"threads": settings.WORKER_THREADS}
    config = sft_config(
        recipe_named(recipe), base_model=checkpoint_of(base_version), dataset=str(file_of(snapshot)), media_root=str(settings.MEDIA_ROOT),
        overrides=settings_of_machine | dict(overrides or {}),
    )
    return _queue(snapshot, base_version, requested_by, asdict(config), name)


def clone_run(*, run: TrainingRun, requested_by: User, overrides: Mapping[str, Any] | None = None) -> TrainingRun:
    """A new run with the same snapshot, base and settings, apart from `overrides`."""
    verify_snapshot(run.snapshot)
    return _queue(run.snapshot, run.base_version, requested_by, run.config | checked(overrides or {}), "")


def _queue(snapshot: DatasetSnapshot, base: ModelVersion, person: User, config: dict[str, Any], name: str) -> TrainingRun:
    with transaction.atomic():
        run = TrainingRun.objects.create(name=name or uuid.uuid4().hex, snapshot=snapshot, base_version=base, requested_by=person,
                                         config=config)
        if not name:
            run.name = f"r{run.pk}"
            run.save(update_fields=["name"])
        Event.objects.create(kind=EventKind.RUN_REQUESTED, actor=person, detail={"run": run.name, "snapshot": snapshot.name})
    return run


def cancel_run(*, run: TrainingRun) -> None:
    """A queued run ends at once; the job of a running one is asked to stop and keeps a checkpoint. Raises RunNotCancellable."""
    now = timezone.now()
    rows = TrainingRun.objects.filter(pk=run.pk)
    if rows.filter(status=RunStatus.QUEUED).update(status=RunStatus.CANCELLED, cancel_requested_at=now, finished_at=now) == 1:
        return
    if rows.filter(status=RunStatus.RUNNING).update(cancel_requested_at=now) != 1:
        raise RunNotCancellable


def resume_run(*, run: TrainingRun) -> None:
    """Queue a failed or cancelled run again; its job goes on from the newest checkpoint. Raises RunNotResumable."""
    stopped = TrainingRun.objects.filter(pk=run.pk, status__in=[RunStatus.FAILED, RunStatus.CANCELLED])
    if stopped.update(status=RunStatus.QUEUED, cancel_requested_at=None, finished_at=None, attempts=0, error="") != 1:
        raise RunNotResumable


def finish_run(run: TrainingRun, run_dir: Path, result: dict[str, Any]) -> None:
    """Register the candidate and ask for its evaluation beside production's. Called again it changes nothing."""
    checkpoint = _keep_model(run, run_dir)
    with transaction.atomic():
        mine = TrainingRun.objects.filter(pk=run.pk, claim_token=run.claim_token, status=RunStatus.RUNNING)
        version, _ = ModelVersion.objects.get_or_create(name=run.name, defaults={
            "checkpoint": stored_checkpoint(checkpoint), "parent": run.base_version, "status": VersionStatus.CANDIDATE,
            "description": f"{run.base_version.name} fine-tuned on {run.snapshot.name}, {result['train_rows']} rows",
        })
        ended = mine.update(status=RunStatus.SUCCEEDED, version=version, result=result, error="", finished_at=timezone.now(),
                            claim_token=None, claimed_until=None, pid=None)
        if ended == 1:
            for evaluated in {version.pk: version, **_production()}.values():
                request_evaluation(version=evaluated, snapshot=run.snapshot, requested_by=run.requested_by)
    shutil.rmtree(run_dir / CHECKPOINTS, ignore_errors=True)  # the model is kept; what resuming needed is not


def _production() -> dict[int, ModelVersion]:
    return {version.pk: version for version in ModelVersion.objects.filter(status=VersionStatus.PRODUCTION)}


def _keep_model(run: TrainingRun, run_dir: Path) -> Path:
    """Move the finished model out of the run directory, whole or not at all."""
    kept = Path(settings.MODELS_DIR) / run.name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        (run_dir / MODEL).replace(kept)
    return kept


def editable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a job's config that a person may change: all but the places."""
    return {name: value for name, value in config.items() if name not in PLACES}
