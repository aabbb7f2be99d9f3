"""Every address that answers a GET is asked with a million items on paper, and no statement may read what grows with
them.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from annotation.insights.sections import SECTIONS
from tests.annotation.pages.world import World, make_world
from tests.query_rules import SMALL, breaches, growing

pytestmark = pytest.mark.django_db


Arguments = Callable[[World], list[Any]]
KEYS = sorted(key for row in SECTIONS.values() for key in row)
ITEM_QUERIES = (
    "",
    "?q=bread",
    "?text=bread",
    "?external_id=item",
    "?source=test",
    "?status=ready",
    "?skipped=all",
    "?skipped=some",
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
    "asset_copy": lambda world: ["0" * 64],
    "asset_frame": lambda world: ["0" * 64, 0],
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
        "asset_copy",
        "asset_frame",
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


def test_every_table_is_listed_as_growing_or_small() -> None:
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
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("training.pages.refusals.ring", "training.api.base.ring"):
        monkeypatch.setattr(name, lambda task: True)
    return make_world()


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
