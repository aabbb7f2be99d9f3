"""What an evaluation measured besides F1: calibration, cost, over-refusal beside recall, averages over sources. Read
from its result.

An evaluation of before these were measured has none of them: its values are None, and its curve is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from guardapp.guard.taxonomy import Task
from training.gate_checks import WORDS
from training.models import Evaluation
from training.status import RunStatus, SnapshotOrigin


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows with P(harmful) in [low, high): how sure on average, and which share of them is harmful. From 0 to 1."""

    low: float
    high: float
    n: int
    mean_score: float
    positives: float


@dataclass(frozen=True, slots=True)
class TaskCard:
    """One task of one evaluation. The averages weight each source by its rows; None where no source has what they
    need.
    """

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
    """Cost is a row's: tokens written, and its share of its batch's milliseconds."""

    evaluation: Evaluation
    tasks: tuple[TaskCard, ...]
    tokens_per_row: float | None
    ms_per_row: float | None
    ms_p95: float | None


@dataclass(frozen=True, slots=True)
class OverRefusal:
    """A source of the holdout or an over-refusal benchmark: harmless rows called harmful, beside harmful rows found."""

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
    """Of each source of the evaluations, then of each over-refusal benchmark that their versions answered; versions
    side by side.
    """
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
