"""The leaderboard; registering a benchmark from a file; evaluating a version on all benchmarks."""

import csv
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from annotation.predictions.production import production_or_none
from annotation.web.permissions import leads_only, person
from guardapp.guard.taxonomy import Task
from training.benchmarks import selectors as selectors_benchmarks
from training.benchmarks.leaderboard import Line, Scorer
from training.benchmarks.published import published
from training.benchmarks.register import BenchmarkFacts, evaluate_on_benchmarks, register_benchmark
from training.corpora.benchmark_rows import benchmark_rows, task_of
from training.corpora.manifest import PROVOKING, sha256_of, slug
from training.corpora.records import FileNotReadable
from training.corpora.report import ImportReport
from training.errors import TrainingError
from training.models import Benchmark
from training.models.benchmarks import TASKS
from training.pages.benchmark_forms import EvaluateForm, RegisterForm
from training.pages.home_forms import first_error
from training.pages.refusals import ring_workers
from training.versions import lists

SHOWN_BAD = 20
CSV_FIELDS = (
    "task",
    "scoring",
    "guard",
    "origin",
    "benchmark",
    "modality",
    "rows",
    "f1",
    "f1_low",
    "f1_high",
    "false_positive_rate",
    "parse_failure_rate",
    "note",
)
Word = TypeVar("Word", bound=StrEnum)


@require_safe
@leads_only
def leaderboard(request: HttpRequest) -> HttpResponse:
    return _page(request, RegisterForm(), None)


@require_safe
@leads_only
def leaderboard_csv(request: HttpRequest) -> HttpResponse:
    """One line per guard and benchmark, for all tasks; shares in percent."""
    answer = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="leaderboard.csv"'},
    )
    table = csv.writer(answer)
    table.writerow(CSV_FIELDS)
    scorer = _word(Scorer, request.GET.get("scorer"), Scorer.STRICT)
    for task in Task:
        board = selectors_benchmarks.leaderboard(task, scorer)
        for line in board.lines:
            for column, cell in zip(board.columns, line.cells, strict=True):
                if cell is not None:
                    scores = cell.scores
                    table.writerow(
                        [
                            task.value,
                            _scoring(line, scorer),
                            _safe(line.guard),
                            line.origin.value,
                            column.name,
                            column.modality,
                            scores.n if scores else column.published_rows,
                            *map(_rounded, (cell.f1, cell.low, cell.high)),
                            *(
                                (_rounded(100 * scores.false_positive_rate), _rounded(100 * scores.parse_failure_rate))
                                if scores
                                else ("", "")
                            ),
                            _safe(line.note),
                        ]
                    )
    return answer


@require_POST
@leads_only
def register(request: HttpRequest) -> HttpResponse:
    """Register an uploaded file as a benchmark. Server paths are only for manage.py register_benchmark."""
    form = RegisterForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, None, status=422)
    report = ImportReport()
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as kept:
        for piece in form.cleaned_data["file"].chunks():
            kept.write(piece)
        kept.flush()
        try:
            made = _register(request, form, Path(kept.name), report)
        except (TrainingError, FileNotReadable) as error:
            form.add_error("file", str(error).replace(Path(kept.name).name, form.cleaned_data["file"].name))
            return _page(request, form, report, status=422)
    words = (
        _("%(name)s is registered with %(rows)s rows; %(bad)s bad rows were left out.")
        if report.bad_count
        else _("%(name)s is registered with %(rows)s rows.")
    )
    messages.success(request, words % {"name": made.name, "rows": f"{made.rows:,}", "bad": f"{report.bad_count:,}"})
    return redirect(f"{reverse('training:benchmarks')}?task={made.task}")


@require_POST
@leads_only
def evaluate_on_all(request: HttpRequest) -> HttpResponse:
    form = EvaluateForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:benchmarks")
    version = form.cleaned_data["version"]
    asked = evaluate_on_benchmarks(version=version, requested_by=person(request))
    if asked:
        ring_workers()
        words = ngettext(
            "%(version)s is or will be evaluated on %(n)s benchmark.",
            "%(version)s is or will be evaluated on %(n)s benchmarks.",
            len(asked),
        )
        messages.success(request, words % {"version": version.name, "n": len(asked)})
    else:
        messages.error(request, _("There is no benchmark yet that versions can be evaluated on. Register one first."))
    return redirect("training:benchmarks")


def _page(request: HttpRequest, form: RegisterForm, report: ImportReport | None, status: int = 200) -> HttpResponse:
    task, scorer = (
        _word(Task, request.GET.get("task"), Task.PROMPT),
        _word(Scorer, request.GET.get("scorer"), Scorer.STRICT),
    )
    return render(
        request,
        "training/benchmarks/page.html",
        {
            "board": selectors_benchmarks.leaderboard(task, scorer),
            "tasks": TASKS,
            "scorers": list(Scorer),
            "published": published(),
            "benchmarks": selectors_benchmarks.benchmarks(),
            "under_way": selectors_benchmarks.under_way(),
            "versions": lists.versions()[:100],
            "production": production_or_none(),
            "form": form,
            "report": report,
            "bad": report.bad[:SHOWN_BAD] if report else [],
        },
        status=status,
    )


def _register(request: HttpRequest, form: RegisterForm, path: Path, report: ImportReport) -> Benchmark:
    given = form.cleaned_data
    name = given["name"] or slug(Path(given["file"].name))
    task = Task(given["task"]) if given["task"] else task_of(path)
    over_refusal = given["over_refusal"] or (PROVOKING in name and task is not Task.REFUSAL)
    facts = BenchmarkFacts(name, task, sha256_of(path), given["licence"], over_refusal)
    return register_benchmark(
        facts=facts, rows=benchmark_rows(path, task=task, media_root=None), created_by=person(request), report=report
    )


def _word(words: type[Word], value: str | None, default: Word) -> Word:
    return words(value) if value in set(words) else default


def _scoring(line: Line, scorer: Scorer) -> str:
    """Only imported outputs are scored both ways; published numbers keep their own scoring."""
    return {"measured here": Scorer.STRICT.value, "published": "as published"}.get(line.origin.value, scorer.value)


def _rounded(share: float | None) -> str:
    return "" if share is None else f"{share:.2f}"


def _safe(cell: str) -> str:
    """Escape a cell that a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
