"""Decisions that cannot be taken, over the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from annotation.models import Assignment, Draft, Review
from annotation.status import ApiScope
from tests.annotation.conftest import KeyedClient
from tests.factories import make_item

pytestmark = [pytest.mark.django_db, pytest.mark.urls("annotation.api_urls")]


DECISION = {"kind": "corrected", "prompt_label": "unharmful"}


def take(client: APIClient) -> str:
    make_item()
    return str(client.post("/api/v1/queues/default/next").json()["token"])


def submit(client: APIClient, token: str, key: str = "a-key-of-its-own", **fields: Any) -> Any:
    return client.post(
        f"/api/v1/assignments/{token}/submit", {**DECISION, **fields}, format="json", headers={"Idempotency-Key": key}
    )


def test_an_expired_lease_is_a_conflict_and_the_decision_is_kept(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    token = take(client)
    Assignment.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = submit(client, token)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:guardapp:problem:lease_expired")
    assert Draft.objects.get().payload["prompt_label"] == "unharmful"
    assert Review.objects.count() == 0


def test_the_same_submit_twice_is_one_review(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    token = take(client)
    first, second = submit(client, token), submit(client, token)
    assert (first.status_code, second.status_code, first.json()) == (201, 201, second.json())
    assert Review.objects.count() == 1


def test_a_second_submit_with_another_key_is_refused(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    token = take(client)
    submit(client, token)
    assert submit(client, token, "another-key").status_code == 409


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"prompt_label": "safe"}, "/prompt_label"),
        ({"kind": None}, "/kind"),
        ({"severity": 4}, "/severity"),
        ({"response_label": "harmful"}, "/response_label"),
        ({"categories": ["S99"]}, "/categories"),
        ({"verdict": 1}, "/verdict"),
        ({"steps": [{"text": None, "mark": "great"}]}, "/steps/0/mark"),
        ({"steps": [{"text": "never written"}]}, "/steps"),
    ],
)
def test_each_field_of_a_decision_that_cannot_be_taken_is_named(
    with_key: KeyedClient, fields: dict[str, Any], pointer: str
) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    answer = submit(client, take(client), **fields)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_submit_without_an_idempotency_key_is_refused(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    answer = client.post(f"/api/v1/assignments/{take(client)}/submit", DECISION, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")
