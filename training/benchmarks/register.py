"""Register a benchmark once, then evaluate any number of versions on it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.models import Event, ModelVersion, User
from annotation.status import EventKind
from guardapp.guard.measures.scores import POSITIVE
from guardapp.guard.splits import link_keys
from guardapp.guard.taxonomy import Modality, Task
from training.corpora.decode_rows import decoded_rows
from training.corpora.report import BadRows, ImportReport
from training.corpora.values import BadRow, ImportedRow
from training.errors import BenchmarkHasNoRows, BenchmarkNameTaken
from training.models import Benchmark, DatasetSnapshot, Evaluation
from training.snapshots.pinned_file import pin
from training.status import SnapshotOrigin, Split
from training.versions.evaluations import request_evaluation

MIXED = "mixed"
# tasks of this product's guards; refusal is a label of the v0 text models only
ASKED = (Task.PROMPT, Task.RESPONSE)


@dataclass(frozen=True, slots=True)
class BenchmarkFacts:
    """Facts that a file does not contain. `source_sha256` is that of the registered file."""

    name: str
    task: Task
    source_sha256: str
    licence: str = ""
    over_refusal: bool = False


@dataclass(slots=True)
class _Tally:
    labels: Counter[str] = field(default_factory=Counter)
    modalities: Counter[str] = field(default_factory=Counter)


def register_benchmark(
    *, facts: BenchmarkFacts, rows: Iterable[ImportedRow | BadRow], created_by: User, report: ImportReport
) -> Benchmark:
    """Decode the rows, pin them and name them; registering the same file again returns the existing benchmark.

    `report` counts what became of the rows. A failure leaves neither a row nor a file. Raises BenchmarkNameTaken,
    BenchmarkHasNoRows or FileNotReadable.
    """
    there = Benchmark.objects.filter(name=facts.name).first()
    if there is not None:
        if there.source_sha256 != facts.source_sha256 or there.task != facts.task:
            raise BenchmarkNameTaken
        return there
    folder, tally = Path(settings.SNAPSHOTS_DIR), _Tally()
    with BadRows(folder, report) as bad, pin(_lines(rows, facts, report, bad, tally), folder) as pinned:
        if not report.taken:
            raise BenchmarkHasNoRows
        bad_path = f"{pinned.sha256}.bad.jsonl" if report.bad_count else ""
        try:
            with transaction.atomic():
                snapshot = DatasetSnapshot.objects.create(
                    name=f"benchmark {facts.name}",
                    origin=SnapshotOrigin.BENCHMARK,
                    sha256=pinned.sha256,
                    path=pinned.name,
                    created_by=created_by,
                    counts=_counts(facts, report, tally, bad_path),
                )
                benchmark = Benchmark.objects.create(
                    name=facts.name,
                    snapshot=snapshot,
                    task=facts.task.value,
                    rows=report.taken,
                    licence=facts.licence,
                    modality=_modality(tally.modalities),
                    over_refusal=facts.over_refusal,
                    source_sha256=facts.source_sha256,
                )
                Event.objects.create(
                    kind=EventKind.SNAPSHOT_CREATED,
                    actor=created_by,
                    detail={"snapshot": snapshot.name, "rows": report.taken},
                )
                pinned.place()
                bad.place(bad_path)
        except IntegrityError as error:
            raise BenchmarkNameTaken from error
    return benchmark


def _lines(
    rows: Iterable[ImportedRow | BadRow], facts: BenchmarkFacts, report: ImportReport, bad: BadRows, tally: _Tally
) -> Iterator[dict[str, Any]]:
    for found in decoded_rows(rows, source=facts.name):
        if isinstance(found, BadRow):
            bad.add(found)
            continue
        report.taken += 1
        sample = found.row.sample
        value = found.row.as_json(Path(settings.MEDIA_ROOT))
        tally.labels[gold_of(value, facts.task)] += 1
        tally.modalities[sample.modality.value] += 1
        yield value | {
            "split": Split.HOLDOUT.value,
            "keys": link_keys(sample.prompt, sample.response, found.media_sha256, sample.context),
        }


def _counts(facts: BenchmarkFacts, report: ImportReport, tally: _Tally, bad_path: str) -> dict[str, Any]:
    return {
        "train": 0,
        "holdout": report.taken,
        "hard": 0,
        "by_modality": dict(tally.modalities),
        "by_source": {facts.name: report.taken},
        "by_label": dict(tally.labels),
        "positives": tally.labels[POSITIVE[facts.task]],
        "bad_rows": report.bad_count,
        "bad_path": bad_path,
        "dropped": {},
    }


def _modality(found: Iterable[str]) -> str:
    """The common modality of all rows. Images with and without text count as images; other mixtures are mixed."""
    kinds = set(found)
    if len(kinds) == 1:
        return kinds.pop()
    return Modality.IMAGE.value if kinds <= {Modality.IMAGE, Modality.TEXT_IMAGE} else MIXED


def gold_of(row: Mapping[str, Any], task: Task) -> str:
    """The label of a benchmark row that its task scores."""
    label = row["refusal"] if task is Task.REFUSAL else row["labels"]["prompt" if task is Task.PROMPT else "response"]
    return str(label)


def evaluate_on_benchmarks(*, version: ModelVersion, requested_by: User) -> list[Evaluation]:
    """Queue an evaluation on every benchmark with a task that guards answer; existing ones are kept.

    The caller rings the doorbell.
    """
    asked = (
        Benchmark.objects.filter(task__in=[task.value for task in ASKED]).select_related("snapshot").order_by("rows")
    )
    return [
        request_evaluation(version=version, snapshot=benchmark.snapshot, requested_by=requested_by)
        for benchmark in asked
    ]
