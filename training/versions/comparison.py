"""Compare two versions on the same holdout: their scores, and the significance of the difference."""

from collections.abc import Sequence
from dataclasses import dataclass

from guardapp.guard.measures.bootstrap import PairedDifference, paired_bootstrap
from guardapp.guard.measures.scores import Outcome
from guardapp.guard.measures.significance import McNemar, mcnemar_test
from guardapp.guard.taxonomy import Harmfulness, Task
from training.gate.checks import RESAMPLES
from training.gate.values import FIELDS, WORDS
from training.models import Evaluation, EvaluationRow
from training.versions.flips import flipped_rows

Pair = tuple[EvaluationRow, EvaluationRow]  # the candidate's row and production's


@dataclass(frozen=True, slots=True)
class TaskScores:
    """One version's scores for one task; shares from 0 to 1."""

    f1: float
    low: float
    high: float
    precision: float
    recall: float
    false_positive_rate: float
    parse_failure_rate: float
    n: int


@dataclass(frozen=True, slots=True)
class TaskComparison:
    task: str
    words: str
    candidate: TaskScores
    production: TaskScores
    difference: PairedDifference
    labels: McNemar  # first: production, second: the candidate

    @property
    def only_candidate(self) -> int:
        """Number of rows that only the candidate has right."""
        return self.labels.only_second

    @property
    def only_production(self) -> int:
        return self.labels.only_first

    @property
    def verdict(self) -> str:
        """better, worse or unclear, depending on whether the interval of the difference excludes zero."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "unclear"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison on the same rows.

    `fixed_count` counts rows that only the candidate has right, `broken_count` those that only production has right;
    for the rows themselves see training.versions.flips.
    """

    candidate: Evaluation
    production: Evaluation
    tasks: Sequence[TaskComparison]
    fixed_count: int
    broken_count: int
    rows: int

    @property
    def verdict(self) -> str:
        """worse if any task is; better if one is and none is worse; else unclear."""
        verdicts = {task.verdict for task in self.tasks}
        return next((word for word in ("worse", "better") if word in verdicts), "unclear")


def compare(candidate: Evaluation, production: Evaluation) -> Comparison:
    """Compare two successful evaluations of one snapshot on the rows that both contain."""
    of_candidate, of_production = (
        {row.row_id: row for row in one.rows.filter(held_out=True).defer("completion")}
        for one in (candidate, production)
    )
    pairs = [(of_candidate[key], of_production[key]) for key in sorted(of_candidate.keys() & of_production.keys())]
    tasks = [
        _task(task, candidate, production, pairs)
        for task in FIELDS
        if any(first.gold.get(FIELDS[task]) for first, _ in pairs)
    ]
    return Comparison(
        candidate,
        production,
        tasks,
        flipped_rows(candidate, production, fixed=True).count(),
        flipped_rows(candidate, production, fixed=False).count(),
        len(pairs),
    )


def _task(task: Task, candidate: Evaluation, production: Evaluation, pairs: Sequence[Pair]) -> TaskComparison:
    scored = [pair for pair in pairs if pair[0].gold.get(FIELDS[task])]
    before, now = ([_outcome(task, pair[side]) for pair in scored] for side in (1, 0))
    right = [
        (first.predicted == first.gold, second.predicted == second.gold)
        for first, second in zip(before, now, strict=True)
    ]
    return TaskComparison(
        task=task.value,
        words=WORDS[task],
        candidate=_scores(candidate, task),
        production=_scores(production, task),
        difference=paired_bootstrap(before, now, resamples=RESAMPLES),
        labels=mcnemar_test(right.count((True, False)), right.count((False, True))),
    )


def _outcome(task: Task, row: EvaluationRow) -> Outcome:
    predicted = row.predicted.get(FIELDS[task])
    return Outcome(task, Harmfulness(row.gold[FIELDS[task]]), Harmfulness(predicted) if predicted else None)


def _scores(evaluation: Evaluation, task: Task) -> TaskScores:
    of_task = evaluation.result["tasks"][task.value]
    return TaskScores(
        f1=of_task["f1"],
        low=of_task["f1_low"],
        high=of_task["f1_high"],
        precision=of_task["precision"],
        recall=of_task["recall"],
        false_positive_rate=of_task["false_positive_rate"],
        parse_failure_rate=of_task["parse_failure_rate"],
        n=of_task["n"],
    )
