"""Run the whole loop unattended, through the same services as the pages.

Ingest, predict, review, snapshot, train, evaluate, promote, export. The reviewer is a program that knows the gold
labels: it accepts a prediction whose labels are right and flips wrong labels, without writing any reasoning.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines, record_export
from annotation.ingest.store_items import DEFAULT_QUEUE, ingest_items
from annotation.ingest.values import IncomingItem
from annotation.models import GoldLabel, Item, ModelVersion, ReviewQueue, User
from annotation.predictions.loaded_engine import checkpoint_of, engine_for, ensure_production_version
from annotation.predictions.predict import predict_pending
from annotation.predictions.target_reasoning import complete_targets
from annotation.review.assign import assign_next
from annotation.review.decision import Decision, same_labels
from annotation.review.submit import submit_review
from annotation.status import ReviewKind, Role
from guardapp.guard.measures.scores import score
from guardapp.guard.taxonomy import Task
from guardapp.guard.verdict import Sample, Verdict
from training.contract import CONFIG, PREDICTIONS, RESULT, EvaluateConfig, read_json, write_json
from training.errors import GateNotPassed
from training.files import log_tail
from training.installation.demo_rows import DemoRow, DemoRows
from training.learning.json_lines import read_lines
from training.learning.rows import Row
from training.learning.scoring import outcome
from training.models import Evaluation, TrainingRun
from training.runs import job_process
from training.runs.execute import execute_next
from training.runs.retrain import retrain
from training.status import RunStatus
from training.versions.promotion import promote

SOURCE = "demo"
Echo = Callable[[str], None]


class DemoFailed(Exception):
    """A stage of the loop failed; the message says which and why."""


@dataclass(slots=True)
class Stages:
    """The duration of each stage in seconds."""

    echo: Echo
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)
        self.echo(f"{name:>16} | {self.seconds[name]:.1f} s")


def run_loop(rows: DemoRows, *, work: Path, overrides: dict[str, Any], echo: Echo) -> dict[str, Any]:
    """Run every stage and return the figures that the command prints. Raises DemoFailed."""
    stages = Stages(echo)
    lead, reviewer = _person("demo-lead", Role.LEAD), _person("demo-reviewer", Role.REVIEWER)
    before = ensure_production_version()
    with stages.stage("ingest"):
        _ingest(rows.reviewed, lead)
    with stages.stage("predict"):
        _predict(before, echo)
    with stages.stage("review"):
        corrected = _review(rows.reviewed, reviewer)
    echo(f"                 | {len(rows.reviewed)} reviewed, {corrected} of them corrected")
    with stages.stage("write reasoning"):
        _complete_targets(before)
    with stages.stage("snapshot"):
        run = retrain(requested_by=lead, overrides=overrides)
    echo(f"                 | {run.snapshot.counts}")
    with stages.stage("train"):
        _execute(run)
    with stages.stage("evaluate"):
        while execute_next():
            pass
        candidate = _candidate(run)
    with stages.stage("measure"):
        untouched = _write_untouched(rows.untouched, work / "untouched.jsonl")
        scores = [measure(version, untouched, work / f"measure-{version.name}") for version in (before, candidate)]
    with stages.stage("promote"):
        gate = _promote(candidate, lead, f"Demonstration: F1 {scores[0]['f1']:.3f} to {scores[1]['f1']:.3f}.")
        _serves(candidate)
    echo(f"                 | the gate: {gate}")
    with stages.stage("export"):
        exported = _export(lead, work / "export.jsonl")
    return {
        "f1_before": round(scores[0]["f1"], 4),
        "f1_after": round(scores[1]["f1"], 4),
        "f1_gain": round(scores[1]["f1"] - scores[0]["f1"], 4),
        "rows_reviewed": len(rows.reviewed),
        "rows_untouched": len(rows.untouched),
        "stage_seconds": stages.seconds,
        "gate": gate,
        "domain": rows.domain,
        "rows_corrected": corrected,
        "rows_exported": exported,
        "accuracy_before": round(scores[0]["accuracy"], 4),
        "accuracy_after": round(scores[1]["accuracy"], 4),
        "f1_before_interval": [round(scores[0]["f1_low"], 4), round(scores[0]["f1_high"], 4)],
        "f1_after_interval": [round(scores[1]["f1_low"], 4), round(scores[1]["f1_high"], 4)],
        "unrelated": _unrelated(rows.unrelated, work, (before, candidate)),
    }


def measure(version: ModelVersion, rows: Path, run_dir: Path) -> dict[str, Any]:
    """Score a version on rows that nobody reviewed, with the product's evaluation job."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(
        run_dir / CONFIG,
        asdict(
            EvaluateConfig(
                model=checkpoint_of(version),
                dataset=str(rows),
                media_root=str(settings.MEDIA_ROOT),
                split="",
                batch_size=settings.INFERENCE_BATCH,
                max_new_tokens=settings.MAX_NEW_TOKENS,
                threads=settings.WORKER_THREADS,
            )
        ),
    )
    with job_process.held(run_dir, 1.0) as lock:
        assert lock is not None
        code = job_process.start("training.jobs.evaluate", run_dir, lock).wait()
    result = read_json(run_dir / RESULT)
    if code != 0 or result is None:
        raise DemoFailed(f"Measuring {version.name} ended with {code}:\n{log_tail(run_dir)}")
    scores: dict[str, Any] = result["tasks"][Task.PROMPT.value]
    return scores


def _unrelated(ids: frozenset[str], work: Path, versions: Sequence[ModelVersion]) -> dict[str, Any]:
    """The same scores on untouched rows that resemble no reviewed one."""
    before, after = (
        [line for line in read_lines(work / f"measure-{version.name}" / PREDICTIONS) if line["id"] in ids]
        for version in versions
    )
    scores = [score(outcome(line, Task.PROMPT) for line in lines) for lines in (before, after)]
    return {
        "rows": len(before),
        "f1_before": round(scores[0].f1, 4),
        "f1_after": round(scores[1].f1, 4),
        "accuracy_before": round(scores[0].accuracy, 4),
        "accuracy_after": round(scores[1].accuracy, 4),
    }


def _person(name: str, role: Role) -> User:
    person, _ = User.objects.get_or_create(username=name, defaults={"role": role})
    return person


def _ingest(rows: Sequence[DemoRow], lead: User) -> None:
    results = ingest_items(rows=[IncomingItem(row.external_id, SOURCE, row.prompt) for row in rows], actor=lead)
    refused = [result for result in results if result.status != "created"]
    if refused:
        raise DemoFailed(f"{len(refused)} rows were not taken, first: {refused[0]}")


def _predict(version: ModelVersion, echo: Echo) -> None:
    engine, ready = engine_for(version), 0
    while (done := predict_pending(engine=engine, version=version, limit=settings.INFERENCE_BATCH)).claimed:
        ready += done.count
        echo(f"                 | {ready} predicted")


def _review(rows: Sequence[DemoRow], reviewer: User) -> int:
    """Review the queue by gold labels and return the number of corrections."""
    gold = {row.external_id: row.label for row in rows}
    queue, corrected = ReviewQueue.objects.get(slug=DEFAULT_QUEUE), 0
    while (assignment := assign_next(reviewer=reviewer, queue=queue)) is not None:
        decision = _decide(assignment.item, gold)
        corrected += decision.kind == ReviewKind.CORRECTED
        submit_review(reviewer=reviewer, token=assignment.token, idempotency_key=uuid.uuid4().hex, decision=decision)
    left = len(rows) - GoldLabel.objects.standing().count()
    if left:
        raise DemoFailed(f"{left} rows were not reviewed.")
    return corrected


def _decide(item: Item, gold: dict[str, Any]) -> Decision:
    decision = Decision(ReviewKind.CORRECTED, gold[item.external_id])
    prediction = item.prediction
    if prediction is not None and prediction.parsed and same_labels(decision, prediction):
        return Decision(ReviewKind.ACCEPTED, gold[item.external_id], categories=tuple(prediction.categories))
    return decision


def _complete_targets(version: ModelVersion) -> None:
    engine = engine_for(version)
    while complete_targets(engine=engine, version=version, limit=settings.INFERENCE_BATCH).claimed:
        pass


def _execute(run: TrainingRun) -> None:
    execute_next()
    run.refresh_from_db()
    if run.status != RunStatus.SUCCEEDED:
        raise DemoFailed(f"The run ended as {run.status}: {run.error}")


def _candidate(run: TrainingRun) -> ModelVersion:
    failed = Evaluation.objects.exclude(status=RunStatus.SUCCEEDED).first()
    if failed is not None:
        raise DemoFailed(f"The evaluation of {failed.version.name} ended as {failed.status}: {failed.error}")
    assert run.version is not None
    return run.version


def _write_untouched(rows: Sequence[DemoRow], path: Path) -> Path:
    known = set(
        Item.objects.filter(external_id__in=[row.external_id for row in rows]).values_list("external_id", flat=True)
    )
    if known:
        raise DemoFailed(f"{len(known)} rows to measure on were ingested, so they are not untouched.")
    with path.open("w", encoding="utf-8") as lines:
        for row in rows:
            value = Row(
                Sample(row.external_id, row.prompt), Verdict(prompt=row.label), "", split="holdout", source=SOURCE
            )
            lines.write(json.dumps(value.as_json(Path(settings.MEDIA_ROOT)), ensure_ascii=False) + "\n")
    return path


def _promote(candidate: ModelVersion, lead: User, reason: str) -> str:
    """Promote through the gate, or let an admin override it: the demonstration continues in any case."""
    try:
        promote(version=candidate, approver=lead, reason=reason)
    except GateNotPassed as refused:
        over = f"The demonstration shows the whole loop on a small holdout. {refused}"
        promote(version=candidate, approver=_person("demo-admin", Role.ADMIN), reason=reason, override=over)
        return f"overridden, {', '.join(check.name for check in refused.report.blocking)}"
    return "passed"


def _serves(version: ModelVersion) -> None:
    """Check that a worker's next batch uses the promoted version."""
    if ensure_production_version() != version or engine_for(ensure_production_version()).name != checkpoint_of(version):
        raise DemoFailed(f"{version.name} was promoted, and another version answers.")


def _export(lead: User, path: Path) -> int:
    request = ExportRequest(ExportFormat.CANONICAL)
    record_export(request=request, actor=lead, by="demo")
    with path.open("wb") as lines:
        lines.writelines(export_lines(request=request))
    return path.read_bytes().count(b"\n")
