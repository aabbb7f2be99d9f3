"""Score other guards' completions on a benchmark, by our metrics and as the published scorer does."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from annotation.ingest.values import FieldError
from annotation.models import User
from guardapp.guard.measures.scores import Label, Outcome, Scores, published_scorer
from guardapp.guard.parsing import parse, parse_v0
from guardapp.guard.taxonomy import Harmfulness, Modality, Refusal, Task
from guardapp.guard.verdict import Judgement
from training.benchmarks.register import gold_of
from training.corpora.output_rows import OutputRow
from training.corpora.report import ImportReport
from training.corpora.values import BadRow
from training.errors import NoOutputs
from training.learning.scoring import counted
from training.models import Benchmark, ImportedOutputs
from training.snapshots.benchmark_rows import rows_of

RESAMPLES, SEED = 10_000, 17
Gold = Mapping[str, Mapping[str, Any]]  # the benchmark's rows by id
# only labels are scored, so the categories that the steps name do not matter
GRAMMARS: Mapping[str, Callable[[str], Judgement | None]] = {
    "v0": partial(parse_v0, codes=()),
    "omni": partial(parse, codes=()),
}


def import_outputs(
    *,
    benchmark: Benchmark,
    guard: str,
    grammar: str,
    rows: Iterable[OutputRow | BadRow],
    source_sha256: str,
    imported_by: User,
    report: ImportReport,
) -> ImportedOutputs:
    """Score a file of completions; importing the same file again returns the existing row.

    Gold is the benchmark's own. A benchmark row without a completion counts as wrong, like one that does not parse. A
    completion for an unknown row, or with a different gold label, is a bad row. Raises NoOutputs or FileNotReadable.
    """
    gold = {row["id"]: row for row in rows_of(benchmark)}
    completions = _completions(rows, gold, Task(benchmark.task), report)
    if not completions:
        raise NoOutputs
    made, _ = ImportedOutputs.objects.get_or_create(
        benchmark=benchmark,
        guard=guard,
        grammar=grammar,
        source_sha256=source_sha256,
        defaults={
            "imported_by": imported_by,
            "result": _result(gold, completions, Task(benchmark.task), grammar, report),
        },
    )
    return made


def _completions(rows: Iterable[OutputRow | BadRow], gold: Gold, task: Task, report: ImportReport) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        problem = row if isinstance(row, BadRow) else _problem(row, gold, found, task)
        if problem is not None:
            report.refuse(problem)
        elif isinstance(row, OutputRow):
            found[row.id] = row.completion
            report.taken += 1
    return found


def _problem(row: OutputRow, gold: Gold, found: Mapping[str, str], task: Task) -> BadRow | None:
    if row.id not in gold:
        return BadRow(row.place, (FieldError("/id", f"is {row.id!r}, which the benchmark does not have."),))
    if row.id in found:
        return BadRow(row.place, (FieldError("/id", f"is {row.id!r}, which an earlier line has."),))
    label = gold_of(gold[row.id], task)
    if row.label and row.label != label:
        return BadRow(row.place, (FieldError("/label", f"is {row.label!r}; the benchmark's gold label is {label!r}."),))
    return None


def _result(
    gold: Gold, completions: Mapping[str, str], task: Task, grammar: str, report: ImportReport
) -> dict[str, Any]:
    outcomes = [_outcome(row, completions.get(key), task, grammar) for key, row in gold.items()]
    published = published_scorer(
        task, ((_label(gold_of(gold[key], task), task), output) for key, output in completions.items())
    )
    return {
        "strict": counted(outcomes, resamples=RESAMPLES, seed=SEED),
        "published": _as_published(published),
        "missing": len(gold) - len(completions),
        "bad_rows": report.bad_count,
    }


def _outcome(row: Mapping[str, Any], completion: str | None, task: Task, grammar: str) -> Outcome:
    judgement = None if completion is None else GRAMMARS[grammar](completion)
    return Outcome(
        task=task,
        gold=_label(gold_of(row, task), task),
        predicted=_predicted(judgement, task),
        modality=Modality(row["modality"]),
        categories=tuple(row["categories"]),
        benchmark=row["source"],
    )


def _predicted(judgement: Judgement | None, task: Task) -> Label | None:
    if judgement is None:
        return None
    verdict = judgement.verdict
    return {Task.PROMPT: verdict.prompt, Task.RESPONSE: verdict.response, Task.REFUSAL: verdict.refusal}[task]


def _label(word: str, task: Task) -> Label:
    return Refusal(word) if task is Task.REFUSAL else Harmfulness(word)


def _as_published(scores: Scores) -> dict[str, Any]:
    return {
        "n": scores.n,
        "n_scored": scores.n_scored,
        "unparsed": scores.unparsed,
        "tp": scores.tp,
        "fp": scores.fp,
        "fn": scores.fn,
        "tn": scores.tn,
        "f1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        "accuracy": scores.accuracy,
    }
