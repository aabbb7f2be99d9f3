"""At least two rows of everything that a page lists, and a million items on paper."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from annotation.items.bulk_decision import decide_many
from annotation.models import (
    Appeal,
    BulkDecision,
    Delivery,
    Export,
    Fingerprint,
    GoldLabel,
    Item,
    ModelVersion,
    Prediction,
    QueueTally,
    Regeneration,
    ReviewerGroup,
    RoutingRule,
    ShadowRequest,
    User,
    Webhook,
)
from annotation.review.appeals import open_appeal
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.exposure import record_exposure
from annotation.review.flags import toggle_flag
from annotation.review.hidden_gold import make_hidden_gold
from annotation.review.submit import submit_review
from annotation.status import ExportLayout, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness, Task
from tests.factories import default_policy, default_queue, make_item, make_user, production
from tests.training.rows import make_candidate, make_evaluation, make_gold, make_snapshot
from training.models import Benchmark, DatasetSnapshot, RetrainSchedule, TrainingRun
from training.runs.pipelines import request_pipeline
from training.runs.request import request_run
from training.status import Trigger

MANY = 1_000_000  # items, as the tally tells them


SCORES = {
    "f1": 0.8,
    "f1_low": 0.6,
    "f1_high": 0.9,
    "precision": 0.8,
    "recall": 0.8,
    "false_positive_rate": 0.1,
    "parse_failure_rate": 0.0,
    "n": 3,
    "unparsed": 0,
    "tp": 1,
    "fp": 1,
    "fn": 0,
    "tn": 1,
}
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL


@dataclass(frozen=True, slots=True)
class World:
    """At least two rows of everything that a page lists."""

    admin: User
    item: Item
    near: Item
    disputed: Item
    bulk: BulkDecision
    webhook: Webhook
    rule: RoutingRule
    group: ReviewerGroup
    prediction: Prediction
    export: Export
    snapshot: DatasetSnapshot
    run: TrainingRun
    pipeline: Any
    schedule: RetrainSchedule
    version: ModelVersion
    token: uuid.UUID  # of what the admin holds


def _reviewed(person: User, label: Harmfulness) -> None:
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    submit_review(
        reviewer=person,
        token=lease.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(kind=ReviewKind.CORRECTED, prompt_label=label, confidence=2),
    )


def make_world() -> World:
    admin, ann, ben = make_user(Role.ADMIN), make_user(), make_user()
    default_policy()
    queue = default_queue(reviews_per_item=2)
    disputed = [make_item(queue=queue, prompt=f"disputed {n}") for n in range(2)]
    for _ in disputed:
        _reviewed(ann, HARMFUL)
        _reviewed(ben, UNHARMFUL)
    reviewed = make_item(queue=queue, free_slots=2, prompt="reviewed once more")
    for _ in range(2):
        _reviewed(ann if _ else ben, UNHARMFUL)
    queue = default_queue(reviews_per_item=1)
    item, near = (
        make_item(prompt="How does one bake bread?", response="In an oven."),
        make_item(prompt="How does one bake bread now?"),
    )
    Fingerprint.objects.bulk_create(Fingerprint(item=one, kind="text", band=0, value=7) for one in (item, near))
    settled = [make_gold(ann, hard=True) for _ in range(3)]
    GoldLabel.objects.filter(pk=settled[0].pk).update(stale_at=timezone.now())
    for gold in settled:
        gold.item.status = ItemStatus.REVIEWED
        gold.item.save()
    make_hidden_gold(item=settled[0].item, by=admin)
    for gold in settled[1:]:
        open_appeal(item=gold.item, reason="It is harmless.", opened_by=admin)
    Appeal.objects.filter(gold=settled[2]).update(state="upheld", closed_at=timezone.now())
    for _ in range(2):
        make_item(status=ItemStatus.PREDICTION_FAILED)
    many = [make_item(prompt=f"the same {n}") for n in range(2)]
    bulk = decide_many(
        by=admin,
        items=many,
        prompt_label=UNHARMFUL,
        response_label=None,
        categories=(),
        note="",
        like=many[0],
        idempotency_key=uuid.uuid4().hex,
    )
    record_exposure(reviewer=admin, item=item, seconds=5, severity=3)
    toggle_flag(user=admin, item=item)
    webhook = Webhook.objects.create(name="told", url="https://example.org/", events=["item.reviewed"])
    for _ in range(2):
        Delivery.objects.create(webhook=webhook, event="item.reviewed", payload={"item": 1})
    export = Export.objects.create(format="canonical", layout=ExportLayout.JSONL, rows_a_file=10, top_gold=3)
    snapshot = make_snapshot(40)
    version = make_candidate(production())
    ModelVersion.objects.filter(pk=version.pk).update(shadow_share=0.5)
    for one, wrong in ((version, 2), (production(), 4)):
        made = make_evaluation(one, snapshot, wrong)
        made.result = {"tasks": {"prompt_harmfulness": SCORES}}
        made.save()
    shadows = [
        Prediction.objects.create(
            item=one, version=version, completion="…", parsed=True, prompt_label="unharmful", shadow=True
        )
        for one in (item, near)
    ]
    ShadowRequest.objects.create(item=reviewed, version=version)
    run = request_run(snapshot=snapshot, base_version=production(), requested_by=admin)
    pipeline = request_pipeline(snapshot=snapshot, base_version=production(), requested_by=admin, recipe="omni-v1")
    schedule = RetrainSchedule.objects.create(
        name="by samples", trigger=Trigger.HARD_SAMPLES, recipe="omni-v1", created_by=admin
    )
    RetrainSchedule.objects.create(name="by agreement", trigger=Trigger.AGREEMENT, recipe="omni-v1", created_by=admin)
    Benchmark.objects.create(
        name="a set", snapshot=snapshot, task=Task.PROMPT.value, modality="text", rows=3, source_sha256="0" * 64
    )
    QueueTally.objects.create(
        queue=queue, status=ItemStatus.READY, lane="flagged", items=MANY, counted_at=timezone.now()
    )
    held = assign_next(reviewer=admin, queue=queue)
    assert held is not None and held.item.prediction is not None
    Regeneration.objects.create(item=held.item, prediction=held.item.prediction, reviewer=admin, kept=[])
    return World(
        admin,
        item,
        near,
        disputed[0],
        bulk,
        webhook,
        RoutingRule.objects.create(name="all", queue=queue),
        ReviewerGroup.objects.create(name="night"),
        shadows[0],
        export,
        snapshot,
        run,
        pipeline,
        schedule,
        version,
        held.token,
    )
