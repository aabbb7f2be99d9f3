"""Measures of an evaluation besides F1: calibration, cost, over-refusal with recall, averages over sources.

In an evaluation from before these were measured, the values are None and the curve is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import ModelVersion
from annotation.predictions.calibration import calibration_of
from guardapp.guard.how_sure import Sampling
from guardapp.guard.taxonomy import Task
from training.gate.values import WORDS
from training.models import Evaluation
from training.status import RunStatus, SnapshotOrigin


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows with a probability of harm in [low, high): its mean, and the share of harmful rows. From 0 to 1."""

    low: float
    high: float
    n: int
    mean_score: float
    positives: float


@dataclass(frozen=True, slots=True)
class TaskCard:
    """One task of one evaluation. Averages weight each source by its rows; None if no source qualifies.

    `calibration_error` is of the marginals, `calibration_error_after` of calibrated probabilities by cross-validation,
    None if nothing was fitted; both, and the curve of the calibrated ones, are over `calibrated_rows` rows.
    """

    words: str
    calibration_error: float | None
    calibration_error_after: float | None
    calibrated_rows: int | None
    average_precision: float | None
    reliability: tuple[ReliabilityBin, ...]
    sources: int
    average_f1: float | None
    average_recall: float | None
    average_false_positive_rate: float | None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """An evaluation's scores and cost per row: generated tokens, and its share of the batch's milliseconds."""

    evaluation: Evaluation
    tasks: tuple[TaskCard, ...]
    tokens_per_row: float | None
    ms_per_row: float | None
    ms_p95: float | None


@dataclass(frozen=True, slots=True)
class AppliedCalibration:
    """One calibrator in force: of a task, for predictions with (`rollouts` above 0) or without rollouts.

    Errors are of the rows it was fitted on, before and, by cross-validation, after; None if nothing was fitted.
    """

    words: str
    rollouts: int
    method: str
    temperature: float | None
    rows: int
    rows_of: str
    ece_before: float
    ece_after: float | None
    too_few: bool
    no_better: bool


@dataclass(frozen=True, slots=True)
class OverRefusal:
    """Over-refusal and recall on one source of the holdout or one over-refusal benchmark."""

    name: str
    task: str
    version: str
    benchmark: bool
    positives: int
    negatives: int
    recall: float | None
    false_positive_rate: float | None


def scorecard(evaluation: Evaluation) -> Scorecard:
    result = evaluation.result
    tasks = tuple(
        _task(words, result["tasks"][task], result.get("averages", {}).get(task, {}))
        for task, words in WORDS.items()
        if task in result.get("tasks", {})
    )
    return Scorecard(evaluation, tasks, result.get("tokens_per_row"), result.get("ms_per_row"), result.get("ms_p95"))


def calibration_applied(version: ModelVersion) -> list[AppliedCalibration]:
    """What turns the version's marginals into probabilities of harm now, by task."""
    found = calibration_of(version)
    if found is None:
        return []
    return [
        AppliedCalibration(
            WORDS[task],
            found.rollouts if sampling is Sampling.SAMPLED else 0,
            fitted["calibrator"]["method"],
            fitted["calibrator"].get("temperature"),
            fitted["rows"],
            fitted["rows_of"],
            fitted["ece_before"],
            fitted["ece_after"],
            fitted["too_few"],
            fitted["no_better"],
        )
        for task, side in ((Task.PROMPT, "prompt"), (Task.RESPONSE, "response"))
        for sampling in (Sampling.SAMPLED, Sampling.GREEDY)
        if (fitted := found.calibrators.get(side, {}).get(sampling.value))
    ]


def over_refusal(evaluations: Sequence[Evaluation]) -> list[OverRefusal]:
    """Over-refusal by source of the evaluations, then by benchmark of their versions, with versions side by side."""
    rows = [row for one in evaluations for row in _of_version(one)]
    return sorted(rows, key=lambda row: (row.benchmark, row.name, row.task))


def _of_version(evaluation: Evaluation) -> list[OverRefusal]:
    version = evaluation.version.name
    rows = [
        row
        for name, tasks in evaluation.result.get("sources", {}).items()
        for row in _rows(name, tasks, version, benchmark=False)
    ]
    public = Evaluation.objects.filter(
        version=evaluation.version_id,
        status=RunStatus.SUCCEEDED,
        snapshot__origin=SnapshotOrigin.BENCHMARK,
        snapshot__benchmark__over_refusal=True,
    ).select_related("snapshot__benchmark")
    for other in public:
        rows += _rows(other.snapshot.benchmark.name, other.result.get("tasks", {}), version, benchmark=True)
    return rows


def _rows(name: str, tasks: dict[str, Any], version: str, *, benchmark: bool) -> list[OverRefusal]:
    return [
        OverRefusal(
            name,
            WORDS[Task(task)],
            version,
            benchmark,
            of["positives"],
            of["negatives"],
            of["recall"] if of["positives"] else None,
            of["false_positive_rate"] if of["negatives"] else None,
        )
        for task, of in tasks.items()
        if task in WORDS
    ]


def _task(words: str, of: dict[str, Any], averages: dict[str, Any]) -> TaskCard:
    return TaskCard(
        words=words,
        calibration_error=of.get("calibration_error"),
        calibration_error_after=of.get("calibration_error_after"),
        calibrated_rows=of.get("calibrated_rows"),
        average_precision=of.get("average_precision"),
        reliability=tuple(ReliabilityBin(**one) for one in of.get("reliability_after", of.get("reliability", ()))),
        sources=averages.get("sources", 0),
        average_f1=averages.get("f1"),
        average_recall=averages.get("recall"),
        average_false_positive_rate=averages.get("false_positive_rate"),
    )
