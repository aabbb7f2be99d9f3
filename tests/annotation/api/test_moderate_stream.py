"""Moderation of a response while it is written."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from annotation.models import Item, ModerationThreshold
from guardapp.guard.verdict import Sample
from tests.annotation.conftest import Serve
from tests.annotation.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.django_db(transaction=True)


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
