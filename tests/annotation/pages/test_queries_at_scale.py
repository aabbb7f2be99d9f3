"""Every address that answers a GET is asked with a million items on paper, and no statement may read what grows with
them.
"""

import inspect
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from annotation.insights.sections import SECTIONS
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
from annotation.review.hidden_gold import make_known
from annotation.review.submit import submit_review
from annotation.status import ExportLayout, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness, Task
from tests.factories import default_policy, default_queue, make_item, make_user, production
from tests.query_rules import SMALL, breaches, growing
from tests.training.rows import make_candidate, make_evaluation, make_gold, make_snapshot
from training.models import Benchmark, DatasetSnapshot, RetrainSchedule, TrainingRun
from training.runs.pipelines import request_pipeline
from training.runs.request import request_run
from training.status import Trigger

pytestmark = pytest.mark.django_db
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


@pytest.fixture
def world(settings: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("training.pages.refusals.ring", "training.api.base.ring"):
        monkeypatch.setattr(name, lambda task: True)
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
    make_known(item=settled[0].item, by=admin)
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


Arguments = Callable[[World], list[Any]]
KEYS = sorted(make.__name__.replace("_", "-") for row in SECTIONS.values() for make in row)
ITEM_QUERIES = (
    "",
    "?q=bread",
    "?text=bread",
    "?external_id=item",
    "?source=test",
    "?status=ready",
    "?queue=default",
    "?lane=flagged",
    "?modality=text",
    "?language=en",
    "?category=S1",
    "?label=harmful",
    "?version=starter",
    "?reviewer=ann",
    "?since=2025-01-01&until=2030-01-01",
)
QUERIES = {
    "items": ITEM_QUERIES,
    "api-items": ITEM_QUERIES,
    "regenerate": ("?from=1",),
    "training:lineage_snapshot": ("?after=1",),
    "insight_csv": ("?days=365",),
}
ASKED: dict[str, Arguments] = {
    name: lambda world: []
    for name in (
        "home",
        "policy",
        "stale",
        "insights",
        "known",
        "account",
        "keymap",
        "javascript_words",
        "palette",
        "queues",
        "queue_new",
        "healthz",
        "readyz",
        "metrics",
        "webhooks",
        "moderation",
        "rule_new",
        "appeals",
        "login",
        "upload",
        "export",
        "export_files",
        "keys",
        "review_escalated",
        "items",
        "api-docs",
        "api-schema",
        "api-items",
        "api-exports",
        "api-runs",
        "api-pipelines",
        "api-schedules",
        "training:home",
        "training:recipes",
        "training:recipe_edit",
        "training:schedules",
        "training:schedule_new",
        "training:benchmarks",
        "training:leaderboard_csv",
        "training:gate",
        "training:versions",
    )
}
ASKED |= {
    "policy_edit": lambda world: ["default"],
    "insight_csv": lambda world: [KEYS[0]],
    "queue": lambda world: ["default"],
    "review": lambda world: ["default"],
    "regenerate": lambda world: [world.token],
    "rule": lambda world: [world.rule.pk],
    "webhook": lambda world: [world.webhook.pk],
    "bulk_decision": lambda world: [world.bulk.pk],
    "review_dispute": lambda world: [world.disputed.pk],
    "export_file": lambda world: [world.export.pk, "manifest.json"],
    "frame": lambda world: [world.prediction.pk, 0, 0],
    "asset": lambda world: ["0" * 64],
    "api-export-of": lambda world: [world.export.pk],
    "api-export-file": lambda world: [world.export.pk, "manifest.json"],
    "training:run_state": lambda world: [world.run.pk],
    "training:chart_csv": lambda world: [world.run.pk, "loss"],
    "api-pipeline": lambda world: [world.pipeline.pk],
    "api-schedule": lambda world: [world.schedule.pk],
    "training:schedule": lambda world: [world.schedule.pk],
}
ASKED |= {
    name: lambda world: [world.item.pk] for name in ("item", "similar", "bulk", "api-item", "training:lineage_item")
}
ASKED |= {
    f"training:{name}": lambda world: [world.run.pk]
    for name in ("run", "hazards", "rollouts", "metrics_file", "metrics_events", "metrics_csv")
}
ASKED |= {name: lambda world: [world.run.pk] for name in ("api-run", "api-run-rollouts")}
ASKED |= {f"training:{name}": lambda world: [world.version.pk] for name in ("version", "broken", "fixed", "shadow")}
ASKED |= {f"training:{name}": lambda world: [world.snapshot.pk] for name in ("snapshot", "lineage_snapshot")}
# a person or a program asks for all rows: read in chunks by key, in flat memory, as tests of exports show
ALL_ROWS = {
    "export_download": "the page offers it up to 10,000 rows, beyond that files",
    "api-export": "a stream; /api/v1/exports is the job",
    "api-export-summary": "what the stream would hold and drop, by reason: each row is projected",
}
EXCUSED: dict[str, dict[str, str]] = {  # address: {part of the breach: why it may be}
    "similar": {"annotation_item.response": "likeness is of the words themselves, of at most 200 items a band"},
    "bulk": {"annotation_item.response": "likewise"},
    "training:shadow": {
        "annotation_prediction.": "20 rows, whose reasoning it lays side by side",
        "annotation_item.response": "likewise",
    },
    "insights": {
        "reads 20000 rows": "of the newest reviews a few short columns",
        "reads 4000 rows": "likewise of the gold of a week",
        "counts all that fits of annotation_review": "of the days that are not over yet, by review_by_time",
        "counts all that fits of annotation_exposure": "of the days shown, by exposure_by_day",
    },
    "metrics": {
        "counts all that fits of annotation_assignment": "what people hold at this moment, by assignment_leases"
    },
    "training:version": {
        "training_evaluationrow": "the gate's paired test is of every row that two versions have answered; without the "
        "answers themselves",
        "annotation_hardsample": "ids of the corrected rows of one snapshot, for its no-regression list",
    },
    "training:broken": {"counts all that fits of training_evaluationrow": "of one evaluation"},
    "training:fixed": {"counts all that fits of training_evaluationrow": "of one evaluation"},
}
OTHER_ANSWERS = {"login": 302} | dict.fromkeys(
    (  # there is no such file here
        "export_file",
        "frame",
        "asset",
        "api-export-file",
        "training:metrics_file",
        "training:metrics_events",
        "training:metrics_csv",
        "training:chart_csv",
        "training:rollouts",
        "api-run-rollouts",
    ),
    404,
)


def addresses(patterns: Any = None, space: str = "") -> Iterator[tuple[str, Any]]:
    """Every name in the URL configuration, with what answers."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield f"{space}{pattern.name}", pattern.callback


def takes_get(callback: Any) -> bool:
    """Asked of the view itself: an API view by its methods, a page by its answer to GET."""
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is not None:
        return hasattr(view, "get") and "get" in view.http_method_names
    closed = inspect.getclosurevars(
        inspect.unwrap(callback, stop=lambda one: "request_method_list" in one.__code__.co_freevars)
    )
    return "GET" in closed.nonlocals.get("request_method_list", ["GET"])


READ = sorted({name for name, callback in addresses() if takes_get(callback)})


def test_every_address_that_answers_a_get_is_asked_or_excused() -> None:
    assert ({*ASKED, *ALL_ROWS} - set(READ), set(READ) - {*ASKED, *ALL_ROWS}) == (set(), set())


def test_every_table_is_known_to_grow_or_to_stay_small() -> None:
    from django.apps import apps

    for app, small in SMALL.items():
        there = {model.__name__ for model in apps.get_app_config(app).get_models()}
        assert small <= there
    assert {
        "annotation_item",
        "annotation_prediction",
        "annotation_review",
        "annotation_event",
        "training_evaluationrow",
    } <= growing()


@pytest.fixture
def admin(world: World) -> Client:
    client = Client()
    client.force_login(world.admin)
    return client


def test_no_page_reads_more_when_there_are_a_million_items(admin: Client, world: World) -> None:
    found: dict[str, set[str]] = {}
    used: set[tuple[str, str]] = set()
    for name, arguments in sorted(ASKED.items()):
        for query in QUERIES.get(name, ("",)):
            address = reverse(name, args=arguments(world)) + query
            with CaptureQueriesContext(connection) as seen:
                answer = admin.get(address, headers={"HX-Request": "true"} if name == "export_files" else {})
                _ = b"".join(answer) if answer.streaming else answer.content
            assert answer.status_code in (200, OTHER_ANSWERS.get(name)), (address, answer.status_code)
            for row in seen.captured_queries:
                for why in breaches(row["sql"]):
                    excuse = next((part for part in EXCUSED.get(name, {}) if part in why), None)
                    if excuse is not None:
                        used.add((name, excuse))
                    else:
                        found.setdefault(f"{name}: {why}", set()).add(row["sql"])
    assert not found, "\n".join(f"{why}\n        {min(sql)[:3_000]}" for why, sql in sorted(found.items()))
    assert used == {(name, part) for name, parts in EXCUSED.items() for part in parts}, "an excuse that nothing needs"


GOOD = (  # [item.id] is "annotation_item"."id"
    "SELECT [item.id], [item.prompt] FROM [item] ORDER BY [item.id] DESC LIMIT 51",
    "SELECT [item.prompt], [item.response] FROM [item] WHERE [item.id] = 7",
    "SELECT [item.id] FROM [item] LIMIT 10001",
    "SELECT COUNT(*) FROM (SELECT [item.id] AS col1 FROM [item] LIMIT 10001) subquery",
    "SELECT COUNT(*) AS __count FROM [review] WHERE [review.item_id] = 7",
    "SELECT [review.id] FROM [review] WHERE ([review.kind] = 'a OFFSET (b' AND [review.item_id] IN (1, 2))",
    "SELECT [queuetally.items] FROM [queuetally]",
    "SELECT LEFT([item.response], 90) AS beginning FROM [item] LIMIT 50",
    "UPDATE [item] SET status = 'ready' WHERE [item.id] = 7",
)
BAD = {
    "OFFSET": "SELECT [item.id] FROM [item] ORDER BY [item.id] LIMIT 50 OFFSET 50",
    "counts all that fits of annotation_item": "SELECT COUNT(*) AS __count FROM [item] WHERE [item.status] = 'ready'",
    "counts all that fits of annotation_review": "SELECT [review.kind], COUNT([review.id]) FROM [review] GROUP "
    "BY [review.kind]",
    "counts all that fits of annotation_event": "SELECT SUM(n) FROM (SELECT COUNT([event.id]) AS n FROM "
    "[event]) subquery",
    "reads annotation_prediction": "SELECT [prediction.id] FROM [prediction] WHERE ([prediction.id] = 1 OR "
    "[prediction.shadow])",
    "reads annotation_assignment": "SELECT [assignment.id] FROM [assignment] WHERE [assignment.item_id] IN "
    "(SELECT [item.id] FROM [item] WHERE [item.lane] = 'audit')",
    "reads 5000 rows": "SELECT [item.id], [item.prompt] FROM [item] LIMIT 5000",
    "carries annotation_prediction.completion": "SELECT [item.id], [prediction.completion] FROM [item] INNER "
    "JOIN [prediction] "
    "ON ([item.prediction_id] = [prediction.id]) LIMIT 51",
    "carries annotation_item.response": "SELECT [item.response] FROM [item] WHERE [item.id] IN (1, 2)",
}


def _quoted(sql: str) -> str:
    return re.sub(
        r"\[(\w+)\.?(\w*)\]", lambda name: f'"annotation_{name[1]}"' + (f'."{name[2]}"' if name[2] else ""), sql
    )


@pytest.mark.parametrize("sql", GOOD)
def test_what_a_page_may_ask_is_let_through(sql: str) -> None:
    assert not list(breaches(_quoted(sql)))


@pytest.mark.parametrize("why", BAD)
def test_what_a_page_may_not_ask_is_named(why: str) -> None:
    assert any(why in one for one in breaches(_quoted(BAD[why])))
