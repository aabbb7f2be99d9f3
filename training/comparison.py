"""Two versions on the same holdout: what got better, what got worse, and whether it is more than luck."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotation.models import Item
from guardapp.guard.metrics import Outcome, PairedDifference, mcnemar_exact, paired_bootstrap
from guardapp.guard.parsing import parse
from guardapp.guard.taxonomy import Harmfulness, Task
from training.models import Evaluation, EvaluationRow

FIELDS = {Task.PROMPT: "prompt", Task.RESPONSE: "response"}
WORDS = {Task.PROMPT: "Prompt harmfulness", Task.RESPONSE: "Response harmfulness"}
RESAMPLES = 2_000
FLIPS_SHOWN = 200
Pair = tuple[EvaluationRow, EvaluationRow]  # candidate's, production's


@dataclass(frozen=True, slots=True)
class TaskScores:
    """One version's scores of one task; shares from 0 to 1."""

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
    only_candidate: int  # rows that only the candidate has right
    only_production: int
    p_value: float  # McNemar, exact

    @property
    def verdict(self) -> str:
        """better, worse or unclear: whether the interval of the difference leaves zero out."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "unclear"


@dataclass(frozen=True, slots=True)
class Said:
    """What a version said of a row."""

    parsed: bool
    prompt: str | None
    response: str | None
    steps: tuple[str, ...]
    completion: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A row that one version has right and the other has wrong."""

    item: Item | None
    gold_prompt: str | None
    gold_response: str | None
    candidate: Said
    production: Said
    fixed: bool  # the candidate is right


@dataclass(frozen=True, slots=True)
class Comparison:
    candidate: Evaluation
    production: Evaluation
    tasks: Sequence[TaskComparison]
    fixed: Sequence[Flip]
    broken: Sequence[Flip]
    fixed_count: int
    broken_count: int
    rows: int

    @property
    def verdict(self) -> str:
        """worse where any task is; better where one is and none is worse; else unclear."""
        verdicts = {task.verdict for task in self.tasks}
        return next((word for word in ("worse", "better") if word in verdicts), "unclear")


def compare(candidate: Evaluation, production: Evaluation) -> Comparison:
    """Both evaluations have succeeded on one snapshot; rows that only one of them has are left out."""
    of_candidate = {row.row_id: row for row in candidate.rows.all()}
    of_production = {row.row_id: row for row in production.rows.all()}
    pairs = [(of_candidate[key], of_production[key]) for key in sorted(of_candidate.keys() & of_production.keys())]
    tasks = [_task(task, candidate, production, pairs) for task in FIELDS if any(first.gold.get(FIELDS[task]) for first, _ in pairs)]
    flips = [pair for pair in pairs if pair[0].correct != pair[1].correct]
    fixed = [pair for pair in flips if pair[0].correct]
    broken = [pair for pair in flips if not pair[0].correct]
    shown = fixed[:FLIPS_SHOWN] + broken[:FLIPS_SHOWN]
    items = Item.objects.in_bulk([int(pair[0].row_id) for pair in shown if pair[0].row_id.isdigit()])
    return Comparison(candidate, production, tasks, [_flip(pair, items) for pair in fixed[:FLIPS_SHOWN]],
                      [_flip(pair, items) for pair in broken[:FLIPS_SHOWN]], len(fixed), len(broken), len(pairs))


def _task(task: Task, candidate: Evaluation, production: Evaluation, pairs: Sequence[Pair]) -> TaskComparison:
    scored = [pair for pair in pairs if pair[0].gold.get(FIELDS[task])]
    first, second = ([_outcome(task, pair[side]) for pair in scored] for side in (1, 0))
    right = [(now.predicted == now.gold, before.predicted == before.gold) for now, before in zip(second, first, strict=True)]
    only_candidate, only_production = right.count((True, False)), right.count((False, True))
    return TaskComparison(
        task=task.value, words=WORDS[task], candidate=_scores(candidate, task), production=_scores(production, task),
        difference=paired_bootstrap(first, second, resamples=RESAMPLES), only_candidate=only_candidate,
        only_production=only_production, p_value=mcnemar_exact(only_candidate, only_production),
    )


def _outcome(task: Task, row: EvaluationRow) -> Outcome:
    predicted = row.predicted.get(FIELDS[task])
    return Outcome(task, Harmfulness(row.gold[FIELDS[task]]), Harmfulness(predicted) if predicted else None)


def _scores(evaluation: Evaluation, task: Task) -> TaskScores:
    of_task = evaluation.result["tasks"][task.value]
    return TaskScores(
        f1=of_task["f1"], low=of_task["f1_low"], high=of_task["f1_high"], precision=of_task["precision"], recall=of_task["recall"],
        false_positive_rate=of_task["false_positive_rate"], parse_failure_rate=of_task["parse_failure_rate"], n=of_task["n"],
    )


def _flip(pair: Pair, items: dict[int, Item]) -> Flip:
    candidate, production = pair
    item = items.get(int(candidate.row_id)) if candidate.row_id.isdigit() else None
    return Flip(item, candidate.gold.get("prompt"), candidate.gold.get("response"), _said(candidate), _said(production), candidate.correct)


def _said(row: EvaluationRow) -> Said:
    judgement = parse(row.completion)
    steps = judgement.steps if judgement else ()
    return Said(row.parsed, row.predicted.get("prompt"), row.predicted.get("response"), steps, row.completion)
