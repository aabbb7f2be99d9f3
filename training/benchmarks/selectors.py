"""Queries for the benchmark pages."""

from django.db.models import Case, IntegerField, QuerySet, Value, When

from annotation.models import ModelVersion
from guardapp.guard.taxonomy import Task
from training.benchmarks.leaderboard import Board, Scorer, board
from training.models import Benchmark, Evaluation, ImportedOutputs
from training.status import FINISHED, RunStatus


def benchmarks() -> QuerySet[Benchmark]:
    return Benchmark.objects.select_related("snapshot", "snapshot__created_by").order_by("task", "name")


def on_benchmarks() -> QuerySet[Evaluation]:
    return Evaluation.objects.filter(snapshot__benchmark__isnull=False).select_related("version", "snapshot__benchmark")


def under_way() -> int:
    """The number of unfinished evaluations on benchmarks."""
    return on_benchmarks().exclude(status__in=FINISHED).count()


def leaderboard(task: Task, scorer: Scorer = Scorer.STRICT) -> Board:
    """The leaderboard of a task: production first, then versions from newest to oldest."""
    production_first = Case(
        When(version__in=ModelVersion.objects.serving(), then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    done = on_benchmarks().filter(status=RunStatus.SUCCEEDED, snapshot__benchmark__task=task.value)
    return board(
        task,
        scorer,
        benchmarks=benchmarks().filter(task=task.value),
        evaluations=done.order_by(production_first, "-version_id", "id").defer("config"),
        outputs=ImportedOutputs.objects.filter(benchmark__task=task.value).select_related("benchmark").order_by("id"),
    )
