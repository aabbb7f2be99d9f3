"""Evaluations: a version on a snapshot's holdout, with the prompt and parser of serving."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.models import ModelVersion, User
from annotation.predictions.calibration import store_calibration
from annotation.predictions.loaded_engine import checkpoint_of
from training.contract import PREDICTIONS, EvaluateConfig
from training.files import file_of
from training.models import DatasetSnapshot, Evaluation, EvaluationRow
from training.models.claims import EVALUATION_CLAIMS
from training.snapshots.job_media import forget_media
from training.status import RunStatus, SnapshotOrigin
from training.versions.gate import watched_items


def request_evaluation(*, version: ModelVersion, snapshot: DatasetSnapshot, requested_by: User | None) -> Evaluation:
    """Queue an evaluation, or return the existing one: a version is evaluated once per snapshot."""
    config = EvaluateConfig(
        model=checkpoint_of(version),
        dataset=str(file_of(snapshot)),
        media_root=str(settings.MEDIA_ROOT),
        batch_size=settings.INFERENCE_BATCH,
        max_new_tokens=settings.MAX_NEW_TOKENS,
        windows=settings.WINDOWS,
        window_overlap=settings.WINDOW_OVERLAP,
        context=settings.CONTEXT_TOKENS,
        threads=settings.WORKER_THREADS,
        watched=watched_items(snapshot),
        policies=version.takes_policy,
        engine=settings.EVALUATION_ENGINE,
        rollouts=settings.ROLLOUTS,
    )
    try:
        with transaction.atomic():
            return Evaluation.objects.create(
                version=version, snapshot=snapshot, requested_by=requested_by, config=asdict(config)
            )
    except IntegrityError:
        unended = Evaluation.objects.exclude(status__in=[RunStatus.FAILED, RunStatus.CANCELLED])
        return unended.get(version=version, snapshot=snapshot)


def finish_evaluation(evaluation: Evaluation, run_dir: Path, result: dict[str, Any]) -> None:
    """Store the job's metrics and rows, and the version's calibration, in one transaction.

    A benchmark's rows do not represent the content reviewed here, so they calibrate nothing.
    """
    with transaction.atomic():
        ended = EVALUATION_CLAIMS.of(evaluation).give_back(
            status=RunStatus.SUCCEEDED, result=result, error="", finished_at=timezone.now(), pid=None
        )
        if ended == 1:
            EvaluationRow.objects.bulk_create(_rows(evaluation, run_dir / PREDICTIONS), batch_size=500)
            if evaluation.snapshot.origin != SnapshotOrigin.BENCHMARK and result.get("calibration"):
                store_calibration(
                    version=evaluation.version,
                    evaluation=evaluation.pk,
                    rows_of=evaluation.snapshot.name,
                    rollouts=result.get("rollouts", 0),
                    fits=result["calibration"],
                )
    forget_media(run_dir)


def _rows(evaluation: Evaluation, predictions: Path) -> Iterator[EvaluationRow]:
    """One row per sample; if a resumed job wrote a sample twice, its first line counts."""
    seen = set()
    with predictions.open(encoding="utf-8") as lines:
        for line in lines:
            value = json.loads(line)
            if value["id"] in seen:
                continue
            seen.add(value["id"])
            gold, predicted = value["gold"], value["predicted"]
            yield EvaluationRow(
                evaluation=evaluation,
                row_id=value["id"],
                completion=value["completion"],
                parsed=value["parsed"],
                gold=gold,
                predicted=predicted,
                correct=all(predicted.get(task) == label for task, label in gold.items() if label is not None),
                probabilities=_probabilities(value),
                categories=value.get("categories", []),
                held_out=not value.get("watched", False),
            )


def _probabilities(value: dict[str, Any]) -> dict[str, Any] | None:
    """The row's probabilities of harm; None from a job of before they were measured."""
    if "marginals" not in value:
        return None
    return {side: {"conditional": value["scores"][side]} | marginals for side, marginals in value["marginals"].items()}
