"""Public benchmarks, and other guards' completions on them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from annotation.models import User
from guardapp.guard.measures.scores import POSITIVE
from guardapp.guard.taxonomy import Task
from training.models.snapshots import DatasetSnapshot

TASKS = {Task.PROMPT: _("Prompt harmfulness"), Task.RESPONSE: _("Response harmfulness"), Task.REFUSAL: _("Refusal")}


class Benchmark(models.Model):
    """A snapshot used only for evaluation: its rows are in the snapshot's file, its evaluations are the snapshot's.

    So are its path, its sha256, the person who registered it and the time.
    """

    name = models.SlugField(max_length=80, unique=True)
    snapshot = models.OneToOneField(DatasetSnapshot, on_delete=models.PROTECT, related_name="benchmark")
    task = models.CharField(
        max_length=24,
        choices=[(task.value, words) for task, words in TASKS.items()],
        help_text="the label that is scored",
    )
    modality = models.CharField(max_length=16, help_text="text, image, text-image, video, or mixed")
    rows = models.PositiveIntegerField()
    licence = models.CharField(max_length=300, blank=True)
    over_refusal = models.BooleanField(
        default=False, help_text="its negative rows are there to be taken for positive ones"
    )
    source_sha256 = models.CharField(max_length=64, help_text="of the registered file")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(task__in=[task.value for task in Task]), name="benchmark_task_is_known")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def positive_class(self) -> str:
        return POSITIVE[Task(self.task)].value


class ImportedOutputs(models.Model):
    """Append-only: another guard's completions on a benchmark, scored here; the newest of a guard counts.

    result: {"strict": {…}, "published": {…}, "missing": rows without a completion, "bad_rows": unusable lines}.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="imported_outputs")
    guard = models.CharField(max_length=100)
    grammar = models.CharField(max_length=16)
    source_sha256 = models.CharField(max_length=64)
    result = models.JSONField()
    imported_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    imported_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["benchmark", "guard", "grammar", "source_sha256"], name="outputs_are_imported_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.guard} on {self.benchmark}"
