"""Content beyond the guard's context is refused with the count and the limit, whoever asks."""

import pytest
from rest_framework.test import APIClient

from guardapp.guard.protocol import Engine
from tests.annotation.conftest import Serve

pytestmark = pytest.mark.django_db(transaction=True)
ENDLESS = "a mad text without end " * 8_000
SHORT = "How do I bake bread?"


@pytest.mark.parametrize("rollouts", [0, 2])
def test_a_caller_learns_the_count_and_the_limit(
    caller: APIClient, serve: Serve, starter: Engine, rollouts: int
) -> None:
    serve(starter)
    body = {"contents": [{"prompt": SHORT}, {"prompt": ENDLESS}], "rollouts": rollouts}
    answer = caller.post("/api/v1/moderate", body, format="json")
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["pointer"] == "/contents/1" and "it reads at most 31,231" in error["detail"]
    assert (answer.json()["tokens"], answer.json()["limit"]) == (40_028, 31_231)
    alone = caller.post("/api/v1/moderate", {"contents": [{"prompt": SHORT}]}, format="json")
    assert alone.status_code == 200


def test_the_openai_endpoint_says_so_too(caller: APIClient, serve: Serve, starter: Engine) -> None:
    serve(starter)
    answer = caller.post("/v1/moderations", {"input": ENDLESS}, format="json")
    assert answer.status_code == 422 and "too long" in answer.json()["detail"]
    assert "tokens" in answer.json()["error"]["message"]
    assert answer.json()["limit"] == 31_231
