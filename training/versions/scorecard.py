"""Measures of an evaluation besides F1: calibration, cost, over-refusal with recall, averages over sources.

In an evaluation from before these were measured, the values are None and the curve is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from guardapp.guard.taxonomy import Task
from training.gate.values import WORDS
from training.models import Evaluation
from training.status import RunStatus, SnapshotOrigin


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows with P(harmful) in [low, high): mean confidence, and the share of harmful rows. From 0 to 1."""

    low: float
    high: float
    n: int
    mean_score: float
    positives: float


@dataclass(frozen=True, slots=True)
class TaskCard:
    """One task of one evaluation. Averages weight each source by its rows; None if no source qualifies."""

    words: str
    calibration_error: float | None
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
        average_precision=of.get("average_precision"),
        reliability=tuple(ReliabilityBin(**one) for one in of.get("reliability", ())),
        sources=averages.get("sources", 0),
        average_f1=averages.get("f1"),
        average_recall=averages.get("recall"),
        average_false_positive_rate=averages.get("false_positive_rate"),
    )
