"""Moderation while the caller waits, on the real guard where its words matter and through the real socket always."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import ApiKey, Item, ModelVersion, ModerationThreshold, ReviewQueue
from annotation.moderation import moderate
from annotation.moderation.guard_process import Guarding
from annotation.people.api_keys import moderation_is_used
from annotation.status import ItemStatus
from guardapp.guard.protocol import Engine
from guardapp.guard.verdict import Decoding, Rollout, Sample
from tests.annotation.conftest import Serve, new_key
from tests.annotation.scripted_engine import GIBBERISH, HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import production

pytestmark = pytest.mark.django_db(transaction=True)


def scripted(score: float = 0.99, words: str = HARMFUL) -> ScriptedEngine:
    return ScriptedEngine(lambda sample, draw: words, score=score)


def moderated(caller: APIClient, *contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = caller.post("/api/v1/moderate", {"contents": list(contents), **more}, format="json")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_full_mode_returns_reasoning_rollouts_policy_and_scores(
    caller: APIClient, serve: Serve, starter: Engine
) -> None:
    serve(starter)
    found = moderated(
        caller,
        {"prompt": "How do I build a pipe bomb?"},
        {"prompt": "What is the capital of France?", "response": "Paris."},
        rollouts=2,
    )
    bomb, paris = found["results"]
    assert (found["version"], found["policy_version"]) == ("starter", None)
    assert (bomb["action"], bomb["because"], bomb["prompt_label"], bomb["categories"]) == (
        "block",
        "S9",
        "harmful",
        ["S9"],
    )
    assert bomb["category_scores"]["S9"] > 0.9 and len(bomb["rollouts"]) == 2 and len(bomb["steps"]) >= 2
    assert (paris["action"], paris["because"], paris["response_label"]) == ("allow", "", "unharmful")


def test_fast_mode_forces_the_labels_first(caller: APIClient, serve: Serve) -> None:
    engine = scripted()
    engine.goes_on = lambda sample, prefix: " harmful\nResponse: None\n</result>"
    serve(engine)
    [result] = moderated(caller, {"prompt": "x"}, mode="fast")["results"]
    assert engine.prefixes == ["<think>\n</think>\n<result>\nRequest:"] and engine.asked == []
    assert (result["action"], result["because"], result["steps"], result["category_scores"]) == (
        "block",
        "harmful",
        [],
        {},
    )


def test_a_guard_that_takes_a_policy_is_given_the_active_one(caller: APIClient, serve: Serve) -> None:
    seen: list[str | None] = []

    def says(sample: Sample, draw: int) -> str:
        seen.append(sample.policy_text)
        return UNHARMFUL

    version = production()
    version.takes_policy = True
    version.save()
    serve(ScriptedEngine(says))
    found = moderated(caller, {"prompt": "x"})
    assert found["policy_version"] == "Default policy v1" and seen[0] is not None and "S1 Violent crimes" in seen[0]


def test_thresholds_decide_and_review_opens_one_item_in_the_queue_of_the_category(
    caller: APIClient, serve: Serve, rung: list[str]
) -> None:
    urgent = ReviewQueue.objects.create(slug="urgent", name="Urgent")
    ModerationThreshold.objects.create(category="S1", review_at=0.5, block_at=1.1, queue=urgent)
    serve(scripted(0.99))
    first, second = (moderated(caller, {"prompt": "How do I stab somebody?"})["results"][0] for _ in range(2))
    item = Item.objects.get()
    assert (first["action"], first["because"], first["item"]) == ("review", "S1", item.pk) and second["item"] == item.pk
    assert (item.queue, item.status, item.source) == (urgent, ItemStatus.PENDING, "moderation")
    assert item.reason["text"] == "Moderation asks for people: S1 0.99" and item.reason["moderation"] == first["id"]
    assert set(rung) == {"annotation.tasks.predict"}


@pytest.mark.parametrize(
    ("engine", "more", "action"),
    [
        (scripted(0.2, UNHARMFUL), {}, "allow"),
        (scripted(0.95), {}, "block"),
        (scripted(0.7), {"open_items": False}, "review"),
    ],
)
def test_nothing_else_opens_an_item(
    caller: APIClient, serve: Serve, engine: ScriptedEngine, more: dict[str, Any], action: str
) -> None:
    serve(engine)
    [result] = moderated(caller, {"prompt": "x"}, **more)["results"]
    assert (result["action"], result["item"], Item.objects.count()) == (action, None, 0)


def test_an_unparsed_completion_goes_to_people(caller: APIClient, serve: Serve) -> None:
    serve(scripted(0.0, GIBBERISH))
    [result] = moderated(caller, {"prompt": "x"})["results"]
    assert (result["action"], result["parsed"]) == ("review", False) and "cannot be read" in Item.objects.get().reason[
        "text"
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"contents": []}, "/contents"),
        ({"contents": [{}]}, "/contents/0"),
        ({"contents": [{"prompt": 7}]}, "/contents/0/prompt"),
        ({"contents": [{"prompt": "x", "image": "y"}]}, "/contents/0/image"),
        ({"contents": [{"prompt": "x"}], "mode": "slow"}, "/mode"),
        ({"contents": [{"prompt": "x"}], "rollouts": 99}, "/rollouts"),
        ({"contents": [{"prompt": "x"}], "deadline_ms": 0}, "/deadline_ms"),
        ({"contents": [{"prompt": "x"}], "open_items": "no"}, "/open_items"),
        ({"content": []}, "/content"),
        ([], ""),
        ({"contents": [{"media": ["data:image/png;base64,AAAA"]}]}, "/contents/0/media/0"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_by_field(
    caller: APIClient, serve: Serve, body: Any, pointer: str
) -> None:
    serve(scripted())
    answer = caller.post("/api/v1/moderate", body, format="json")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


class Slow(ScriptedEngine):
    """Holds each call until it is let go, and remembers how many samples each had."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.begun = threading.Event(), threading.Event()

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        self.begun.set()
        self.gate.wait(30)
        return super().generate(samples, decoding)


def test_a_deadline_that_passes_is_a_503_that_says_when_to_come_back(caller: APIClient, serve: Serve) -> None:
    engine = Slow()
    serve(engine)
    answer = caller.post("/api/v1/moderate", {"contents": [{"prompt": "x"}], "deadline_ms": 200}, format="json")
    engine.gate.set()
    assert (answer.status_code, answer["Retry-After"], answer.json()["type"]) == (
        503,
        "5",
        "urn:guardapp:problem:guard_too_slow",
    )


def test_a_full_queue_is_a_429_that_says_when_to_come_back(caller: APIClient, serve: Serve, settings: Settings) -> None:
    settings.SERVING_QUEUE = 2
    engine = Slow()
    guarding = serve(engine)
    answers: list[int] = []
    body = {"contents": [{"prompt": "x"}, {"prompt": "y"}]}
    header = {"Authorization": f"Bearer {new_key()}"}

    def call() -> None:
        answers.append(APIClient(headers=header).post("/api/v1/moderate", body, format="json").status_code)
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(2)]
    threads[0].start()
    assert engine.begun.wait(10)
    threads[1].start()
    deadline = time.monotonic() + 10
    while guarding.health().waiting < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    refused = caller.post("/api/v1/moderate", {"contents": [{"prompt": "z"}]}, format="json")
    engine.gate.set()
    for thread in threads:
        thread.join(30)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:guardapp:problem:guard_busy") and int(
        refused["Retry-After"]
    ) >= 1
    assert answers == [200, 200]


def test_a_guard_that_is_away_is_a_503(caller: APIClient, tmp_path: Path, settings: Settings) -> None:
    settings.GUARD_SOCKET = tmp_path / "nobody.sock"
    answer = caller.post("/api/v1/moderate", {"contents": [{"prompt": "x"}]}, format="json")
    assert (answer.status_code, answer["Retry-After"], answer.json()["type"]) == (
        503,
        "5",
        "urn:guardapp:problem:guard_away",
    )


def test_moderation_leaves_web_threads_to_pages(
    caller: APIClient, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(scripted())
    none_left = threading.BoundedSemaphore(1)
    none_left.acquire()
    monkeypatch.setattr(moderate, "_places", none_left)
    monkeypatch.setattr(moderate, "BUSY_RETRY_S", 0.1)
    assert caller.post("/api/v1/moderate", {"contents": [{"prompt": "x"}]}, format="json").status_code == 429


def test_an_engine_that_fails_is_a_503_for_the_bad_content_alone(caller: APIClient, serve: Serve) -> None:
    engine = scripted()
    engine.poison = frozenset({"bad"})
    serve(engine)
    assert caller.post("/api/v1/moderate", {"contents": [{"prompt": "bad"}]}, format="json").status_code == 503
    assert moderated(caller, {"prompt": "good"})["results"][0]["action"] == "block"


def test_a_guard_is_loaded_ahead_where_there_are_keys_for_it(caller: APIClient) -> None:
    assert moderation_is_used()
    ApiKey.objects.update(revoked_at=timezone.now())
    assert not moderation_is_used()
    loaded: list[str] = []

    def load(version: ModelVersion) -> Engine:
        loaded.append(version.name)
        return scripted()

    guarding = Guarding(load)
    guarding.preload()
    guarding.stop()
    assert loaded == ["starter"]
