"""Moderation of conversations: the last exchange is judged, and the messages before it are the guard's context."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from annotation.models import Item
from annotation.moderation.moderate import SOURCE
from guardapp.guard.verdict import ContextMessage
from tests.annotation.conftest import Serve
from tests.cases.test_context_for_the_guard import CONTEXT, Listening
from tests.cases.test_conversations import ANSWER, LAST, MESSAGES, image

pytestmark = pytest.mark.django_db(transaction=True)


def test_moderation_judges_the_last_exchange_with_its_context_and_keeps_it_for_people(
    caller: APIClient, serve: Serve
) -> None:
    engine = Listening()
    engine.score = 0.6
    serve(engine)
    body = {"contents": [{"messages": [{"role": "user", "content": [image()]}, *MESSAGES[2:4]]}]}
    answer = caller.post("/api/v1/moderate", body, format="json")
    assert answer.status_code == 200, answer.json()
    [sample] = engine.heard
    assert (sample.prompt, sample.response, len(sample.media)) == (LAST, None, 1)
    assert sample.context == (ContextMessage("user", "", 1), CONTEXT[2])
    item = Item.objects.get(pk=answer.json()["results"][0]["item"])
    assert item.source == SOURCE
    assert item.messages == [{"role": "user", "text": "", "media": [0]}, {"role": "assistant", "text": ANSWER}]
    again = caller.post("/api/v1/moderate", body, format="json").json()["results"][0]["item"]
    other = caller.post("/api/v1/moderate", {"contents": [{"messages": MESSAGES[:4]}]}, format="json").json()
    assert again == item.pk != other["results"][0]["item"]


def test_openais_endpoint_takes_a_list_of_messages(caller: APIClient, serve: Serve) -> None:
    engine = Listening()
    serve(engine)
    answer = caller.post("/v1/moderations", {"input": MESSAGES}, format="json")
    assert answer.status_code == 200 and len(answer.json()["results"]) == 1
    assert engine.heard[0].context == CONTEXT
    wrong = caller.post("/v1/moderations", {"input": [*MESSAGES, {"role": "bot", "content": "a"}]}, format="json")
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/input/5/role"]


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"messages": MESSAGES, "prompt": "a"}, "/contents/0/messages"),
        ({"messages": [{"role": "system", "content": "a"}]}, "/contents/0/messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
            "/contents/0/messages/0/content/0/image_url",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,AAAA"}]},
                ]
            },
            "/contents/0/messages/1/content/0/image_url",
        ),
    ],
)
def test_moderation_names_the_message_that_it_cannot_take(
    caller: APIClient, serve: Serve, content: dict[str, Any], pointer: str
) -> None:
    serve(Listening())
    answer = caller.post("/api/v1/moderate", {"contents": [content]}, format="json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
