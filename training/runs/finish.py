"""Store the results of a successful job: a candidate with its evaluations, or mined rows."""

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation.models import ModelVersion
from annotation.predictions.checkpoints import files_of, share_checkpoint
from annotation.predictions.loaded_engine import stored_checkpoint
from annotation.predictions.production import production_or_none
from annotation.status import VersionStatus
from training.contract import CHECKPOINTS, MODEL, ROWS
from training.models import TrainingRun
from training.models.claims import RUN_CLAIMS
from training.runs.followers import cancel_followers, followers, hand_on, run_ended
from training.runs.job_config import sha256_of
from training.snapshots.job_media import forget_media
from training.snapshots.pinned_file import READ_ONLY
from training.status import RunKind, RunStatus
from training.versions.evaluations import request_evaluation


def finish_run(run: TrainingRun, run_dir: Path, result: dict[str, Any]) -> None:
    """Store the job's results. Idempotent."""
    if run.kind == RunKind.MINE:
        _finish_mining(run, run_dir, result)
    else:
        _finish_training(run, run_dir, result)
    forget_media(run_dir)


def _finish_training(run: TrainingRun, run_dir: Path, result: dict[str, Any]) -> None:
    """Register the candidate. The last one of a pipeline is evaluated against production, others are passed on."""
    checkpoint = _keep_model(run, run_dir)
    with transaction.atomic():
        version, _ = ModelVersion.objects.get_or_create(
            name=run.name,
            defaults={
                "checkpoint": stored_checkpoint(checkpoint),
                "files": files_of(checkpoint),
                "parent": run.base_version,
                "status": VersionStatus.CANDIDATE,
                "takes_policy": run.base_version is not None and run.base_version.takes_policy,
                "description": _description(run, result),
            },
        )
        if _succeeded(run, result, version=version):
            hand_on(run, version)
            if not followers(run):
                _evaluate_beside_production(run, version)
            run_ended(run, RunStatus.SUCCEEDED)
    # keep the model, but not the checkpoints for resuming
    shutil.rmtree(run_dir / CHECKPOINTS, ignore_errors=True)


def _description(run: TrainingRun, result: dict[str, Any]) -> str:
    verb = {RunKind.SFT: "fine-tuned", RunKind.GRPO: "trained by GRPO", RunKind.DPO: "trained by DPO"}[
        RunKind(run.kind)
    ]
    rows = result.get("train_rows")
    on = f"the rows that {run.mined_from} kept of {run.snapshot}" if run.mined_from else str(run.snapshot)
    return f"{run.base_version.name} {verb} on {on}" + (f", {rows} rows" if rows is not None else "")


def _finish_mining(run: TrainingRun, run_dir: Path, result: dict[str, Any]) -> None:
    """Pin the kept rows. If none was kept, the pipeline ends with its current version."""
    rows = run_dir / ROWS
    rows.chmod(READ_ONLY)
    sha256 = sha256_of(rows)
    with transaction.atomic():
        if not _succeeded(run, result, rows_sha256=sha256):
            return
        if result["kept"] == 0:
            cancel_followers(
                run,
                f"{run.name} kept no row: {run.base_version.name} leaves nothing to learn by the rule "
                f"{run.config.get('keep', '')}. There is nothing to train on.",
            )
            maker = TrainingRun.objects.filter(version=run.base_version, pipeline=run.pipeline_id).first()
            if run.pipeline_id is not None and maker is not None:
                _evaluate_beside_production(maker, run.base_version)
        run_ended(run, RunStatus.SUCCEEDED)


def _succeeded(run: TrainingRun, result: dict[str, Any], **columns: Any) -> bool:
    """Mark the run as succeeded. False if another worker holds it now."""
    ended = RUN_CLAIMS.of(run).give_back(
        status=RunStatus.SUCCEEDED, result=result, error="", finished_at=timezone.now(), pid=None, **columns
    )
    return ended == 1


def _evaluate_beside_production(run: TrainingRun, version: ModelVersion) -> None:
    production = production_or_none() or version
    for evaluated in {version.pk: version, production.pk: production}.values():
        request_evaluation(version=evaluated, snapshot=run.snapshot, requested_by=run.requested_by)


def _keep_model(run: TrainingRun, run_dir: Path) -> Path:
    """Atomically move the finished model out of the run directory."""
    kept = Path(settings.MODELS_DIR) / run.name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        (run_dir / MODEL).replace(kept)
    share_checkpoint(kept)
    return kept
