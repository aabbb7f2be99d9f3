"""Guards × benchmarks: own measurements, imported outputs scored here, and published numbers, never mixed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_noop

from annotation.models import ModelVersion
from guardapp.guard.measures.scores import Scores, weighted_average
from guardapp.guard.taxonomy import Modality, Task
from training.benchmarks.published import PublishedBenchmark, PublishedGuard, published
from training.models import Benchmark, Evaluation, ImportedOutputs
from training.models.benchmarks import TASKS

Result = Mapping[str, Any]


class Origin(StrEnum):
    """The origin of a line's numbers, as shown on the page."""

    MEASURED = gettext_noop("measured here")
    IMPORTED = gettext_noop("imported outputs, scored here")
    PUBLISHED = gettext_noop("published")


class Scorer(StrEnum):
    """How completions are scored.

    strict: a completion that does not parse counts as wrong once. published: as the released scripts count, for
    imported outputs only.
    """

    STRICT = "strict"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Column:
    """A benchmark. `rows` are scored here and `published_rows` in the publication; None if absent or not stated."""

    name: str
    title: str
    modality: str
    rows: int | None = None
    published_rows: int | None = None
    over_refusal: bool = False

    @property
    def differs(self) -> bool:
        """Whether own and published numbers refer to different rows."""
        return None not in (self.rows, self.published_rows) and self.rows != self.published_rows


@dataclass(frozen=True, slots=True)
class Cell:
    """Shares in percent. `f1` is None if the benchmark has no positive rows.

    `low` and `high` are the 95% interval, None for published numbers.
    """

    f1: float | None
    low: float | None = None
    high: float | None = None
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class Average:
    """An average in percent, weighted by scored rows. `benchmarks` and `rows` are 0 if it is a published figure."""

    f1: float
    benchmarks: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A guard's line on the leaderboard; `cells` are in the order of the columns."""

    guard: str
    origin: Origin
    cells: Sequence[Cell | None]
    text: Average | None
    all: Average | None
    # percent false positives on the over-refusal benchmarks
    over_refusal: float | None = None
    parse_failures: float | None = None  # percent of all rows
    note: str = ""
    version: ModelVersion | None = None


@dataclass(frozen=True, slots=True)
class Board:
    task: Task
    scorer: Scorer
    columns: Sequence[Column]
    lines: Sequence[Line]

    @property
    def words(self) -> str:
        return TASKS[self.task]

    @property
    def positive_rows_differ(self) -> bool:
        return any(column.differs for column in self.columns)


def board(
    task: Task,
    scorer: Scorer,
    *,
    benchmarks: Iterable[Benchmark],
    evaluations: Iterable[Evaluation],
    outputs: Iterable[ImportedOutputs],
) -> Board:
    """Build the leaderboard of a task from its `benchmarks`.

    `evaluations` and `outputs` on other benchmarks are ignored; of several for the same cell, the last one counts.
    """
    columns = _columns(task, benchmarks)
    measured: dict[ModelVersion, dict[str, Cell]] = {}
    for evaluation in evaluations:
        scores = evaluation.result.get("tasks", {}).get(task.value)
        if scores is not None:
            measured.setdefault(evaluation.version, {})[evaluation.snapshot.benchmark.name] = cell(scores)
    imported: dict[str, dict[str, Cell]] = {}
    for output in outputs:
        imported.setdefault(output.guard, {})[output.benchmark.name] = cell(output.result[scorer.value])
    lines = [
        *(_line(version.name, Origin.MEASURED, columns, cells, version) for version, cells in measured.items()),
        *(_line(guard, Origin.IMPORTED, columns, cells) for guard, cells in sorted(imported.items())),
        *(_published_line(guard, columns) for guard in published().guards if guard.task is task),
    ]
    return Board(task, scorer, columns, [line for line in lines if any(line.cells)])


def cell(result: Result) -> Cell:
    """Convert the counts and rates of an evaluation or of imported outputs."""
    scores = Scores(
        n=result["n"], unparsed=result["unparsed"], tp=result["tp"], fp=result["fp"], fn=result["fn"], tn=result["tn"]
    )
    if not scores.positives:
        return Cell(None, scores=scores)
    low, high = result.get("f1_low"), result.get("f1_high")
    return Cell(100 * scores.f1, None if low is None else 100 * low, None if high is None else 100 * high, scores)


def _columns(task: Task, benchmarks: Iterable[Benchmark]) -> list[Column]:
    """Published benchmarks first, in their order, then other registered ones by modality and name."""
    here = {benchmark.name: benchmark for benchmark in benchmarks}
    known = [_known(one, here.get(one.name)) for one in published().benchmarks if one.task is task]
    others = [
        Column(one.name, one.name, one.modality, rows=one.rows, over_refusal=one.over_refusal)
        for one in here.values()
        if one.name not in {column.name for column in known}
    ]
    modalities = [modality.value for modality in Modality]
    order = {modality: place for place, modality in enumerate(modalities)}
    return sorted(
        [*known, *sorted(others, key=lambda column: column.name)],
        key=lambda column: order.get(column.modality, len(order)),
    )


def _known(one: PublishedBenchmark, here: Benchmark | None) -> Column:
    return Column(
        one.name,
        one.title,
        one.modality.value,
        rows=here.rows if here else None,
        published_rows=one.rows,
        over_refusal=here.over_refusal if here else False,
    )


def _line(
    guard: str,
    origin: Origin,
    columns: Sequence[Column],
    cells: Mapping[str, Cell],
    version: ModelVersion | None = None,
) -> Line:
    scored = {
        column: one.scores
        for column in columns
        if (one := cells.get(column.name)) is not None and one.scores is not None
    }
    provoked = {column.name: scores for column, scores in scored.items() if column.over_refusal and scores.negatives}
    rows = sum(scores.n for scores in scored.values())
    return Line(
        guard,
        origin,
        [cells.get(column.name) for column in columns],
        text=_average(scored, lambda column: column.modality == Modality.TEXT),
        all=_average(scored, lambda column: True),
        over_refusal=100
        * sum(scores.fp for scores in provoked.values())
        / sum(scores.negatives for scores in provoked.values())
        if provoked
        else None,
        parse_failures=100 * sum(scores.unparsed for scores in scored.values()) / rows if rows else None,
        version=version,
    )


def _average(scored: Mapping[Column, Scores], wanted: Callable[[Column], bool]) -> Average | None:
    """The average over benchmarks with positive rows; F1 is meaningless for the others."""
    taken = {column.name: scores for column, scores in scored.items() if wanted(column) and scores.positives}
    if not taken:
        return None
    return Average(100 * weighted_average(taken), len(taken), sum(scores.n_scored for scores in taken.values()))


def _published_line(guard: PublishedGuard, columns: Sequence[Column]) -> Line:
    return Line(
        guard.name,
        Origin.PUBLISHED,
        [Cell(guard.f1[column.name]) if column.name in guard.f1 else None for column in columns],
        text=None if guard.text is None else Average(guard.text),
        all=None if guard.all is None else Average(guard.all),
        note=guard.note,
    )
