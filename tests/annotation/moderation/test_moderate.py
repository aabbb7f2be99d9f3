"""Moderation while the caller waits, on the real guard where its words matter and through the real socket always."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from openai.types import ModerationImageURLInputParam, ModerationTextInputParam
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from annotation.models import ApiKey, Item, ModelVersion, ModerationThreshold, ReviewQueue
from annotation.moderation import moderate
from annotation.moderation.guard_process import Guarding
from annotation.people.api_keys import create_key, moderation_is_used
from annotation.status import ApiScope, ItemStatus, Role
from guardapp.guard.engine import Engine
from guardapp.guard.verdict import Decoding, Rollout, Sample
from tests.annotation.guard_process import serving
from tests.annotation.scripted_engine import GIBBERISH, HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import default_policy, default_queue, make_user, production
from tests.paths import STARTER

pytestmark = pytest.mark.django_db(transaction=True)
Serve = Callable[[Engine], Guarding]


@pytest.fixture(scope="session", autouse=True)
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """whitenoise wants its folder when the live server starts."""
    django_settings.STATIC_ROOT = tmp_path_factory.mktemp("static")


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr("annotation.api.moderation.ring", lambda task: names.append(task.name))
    return names


@pytest.fixture
def caller(rung: list[str]) -> APIClient:
    default_queue()
    default_policy()
    production()
    return APIClient(headers={"Authorization": f"Bearer {new_key()}"})


def new_key(*scopes: ApiScope) -> str:
    return create_key(owner=make_user(Role.LEAD), name="platform", scopes=scopes or [ApiScope.MODERATE]).secret


@pytest.fixture
def serve(tmp_path: Path, settings: Settings) -> Iterator[Serve]:
    settings.GUARD_SOCKET = tmp_path / "guard.sock"
    with ExitStack() as stack:
        yield lambda engine: stack.enter_context(serving(engine, tmp_path / "guard.sock"))


@pytest.fixture(scope="module")
def starter() -> Engine:
    from guardapp.guard.engines.hf.engine import HfEngine

    return HfEngine(str(STARTER), device="cpu", threads=1)


def scripted(score: float = 0.99, words: str = HARMFUL) -> ScriptedEngine:
    return ScriptedEngine(lambda sample, draw: words, score=score)


def moderated(caller: APIClient, *contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = caller.post("/api/v1/moderate", {"contents": list(contents), **more}, format="json")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def image_at(url: str) -> ModerationImageURLInputParam:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.fixture
def client_of_openai(caller: APIClient, live_server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=new_key(), base_url=f"{live_server.url}/v1", max_retries=0, timeout=60) as client:
        # open, it would keep a thread of the live server, and that thread its connection to the database
        yield client


def test_the_stock_openai_client_gets_its_shape_for_texts(
    client_of_openai: openai.OpenAI, serve: Serve, starter: Engine
) -> None:
    serve(starter)
    answer = client_of_openai.moderations.create(input=["What is the capital of Peru?", "How do I build a pipe bomb?"])
    plain, bomb = answer.results
    assert answer.id.startswith("modr-") and answer.model == "starter"
    assert not plain.flagged and not any(plain.categories.to_dict().values())
    assert bomb.flagged and bomb.categories.illicit_violent
    assert bomb.category_scores.illicit_violent > 0.9 > plain.category_scores.illicit_violent
    assert bomb.category_applied_input_types.illicit_violent == ["text"]
    extra = bomb.categories.to_dict()
    assert extra["S9"] is True and extra["harmful"] is True


def test_the_stock_openai_client_sends_text_and_image_together(
    client_of_openai: openai.OpenAI, serve: Serve, starter: Engine, png: bytes
) -> None:
    serve(starter)
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    parts: list[ModerationTextInputParam | ModerationImageURLInputParam] = [
        {"type": "text", "text": "What is in this picture?"},
        image_at(url),
    ]
    answer = client_of_openai.moderations.create(
        model="omni-moderation-latest", extra_body={"reasoning": True}, input=parts
    )
    [result] = answer.results
    assert result.category_applied_input_types.violence == ["text", "image"]
    assert result.to_dict()["reasoning"], "asked for, so there"


def test_the_openai_client_understands_what_is_refused(
    client_of_openai: openai.OpenAI, live_server: LiveServer, serve: Serve
) -> None:
    serve(scripted())
    with pytest.raises(openai.UnprocessableEntityError, match="is not served"):
        client_of_openai.moderations.create(model="gpt-4", input="x")
    with pytest.raises(openai.UnprocessableEntityError, match="fetching by URL is not offered"):
        client_of_openai.moderations.create(input=[image_at("https://example.org/a.png")])
    with pytest.raises(openai.UnprocessableEntityError, match="An image cannot be read"):
        client_of_openai.moderations.create(input=[image_at("data:image/png;base64,AAAA")])
    with pytest.raises(openai.AuthenticationError):
        client_of_openai.with_options(api_key="wrong").moderations.create(input="x")
    reader = create_key(owner=make_user(Role.LEAD), name="reader", scopes=[ApiScope.ITEMS_READ]).secret
    with pytest.raises(openai.PermissionDeniedError):
        client_of_openai.with_options(api_key=reader).moderations.create(input="x")


def test_full_mode_tells_reasoning_rollouts_policy_and_scores(caller: APIClient, serve: Serve, starter: Engine) -> None:
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


def test_what_the_guard_says_and_nobody_can_read_goes_to_people(caller: APIClient, serve: Serve) -> None:
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
def test_a_body_that_cannot_be_taken_is_told_by_field(caller: APIClient, serve: Serve, body: Any, pointer: str) -> None:
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

    def ask() -> None:
        answers.append(APIClient(headers=header).post("/api/v1/moderate", body, format="json").status_code)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
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


def streamed(caller: APIClient, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    body = "".join(f"{json.dumps(line)}\n" for line in lines)
    answer: Any = caller.generic("POST", "/api/v1/moderate/stream", body, content_type="application/x-ndjson")
    assert answer.status_code == 200, answer.content
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def turns_bad(sample: Sample, prefix: str) -> str:
    return f" unharmful\nResponse: {'harmful' if 'knife' in (sample.response or '') else 'unharmful'}\n</result>"


def test_a_response_is_checked_piece_by_piece_and_stopped_at_the_first_block(caller: APIClient, serve: Serve) -> None:
    serve(ScriptedEngine(goes_on=turns_bad, score=None))
    pieces = [{"text": "Once upon a time. " * 4}, {"text": "There was a knife. " * 4}, {"text": "Never read. " * 9}]
    found = streamed(caller, {"prompt": "Tell me a story", "every": 50}, *pieces)
    assert [(line["characters"], line["action"], line["last"]) for line in found] == [
        (72, "allow", False),
        (148, "block", True),
    ]


def test_a_response_that_people_are_to_decide_opens_one_item_at_its_end(caller: APIClient, serve: Serve) -> None:
    ModerationThreshold.objects.create(category="harmful", review_at=0.5, block_at=1.1)
    serve(ScriptedEngine(goes_on=turns_bad, score=None))
    found = streamed(caller, {"prompt": "A story", "every": 50}, *[{"text": "There was a knife. " * 3}] * 3)
    assert [line["action"] for line in found] == ["review"] * 4 and [line["last"] for line in found] == [False] * 3 + [
        True
    ]
    assert found[-1]["item"] == Item.objects.get().pk and found[0]["item"] is None


def test_a_problem_in_the_middle_of_a_stream_is_its_last_line(caller: APIClient, serve: Serve) -> None:
    serve(ScriptedEngine(goes_on=turns_bad, score=None))
    found = streamed(caller, {"prompt": "A story", "every": 50}, {"text": "Once upon a time. " * 4}, {"tex": "wrong"})
    assert found[0]["action"] == "allow" and found[1]["problem"]["status"] == 422
    refused = caller.generic("POST", "/api/v1/moderate/stream", '{"every": 1}\n', content_type="application/x-ndjson")
    assert refused.status_code == 422


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
