"""Reviewing over the API: the next item, what may be done with it, and its draft."""

import pytest

from annotation.models import Assignment
from annotation.status import ApiScope, AssignmentState, ReviewMode
from tests.annotation.conftest import KeyedClient
from tests.factories import default_queue, make_item

pytestmark = [pytest.mark.django_db, pytest.mark.urls("annotation.api_urls")]


def test_next_gives_the_item_and_the_guards_judgement(with_key: KeyedClient) -> None:
    item = make_item()
    client = with_key(ApiScope.REVIEWS_WRITE)
    got = client.post("/api/v1/queues/default/next").json()
    assert (got["item"]["id"], got["prediction"]["prompt_label"], got["mode"]) == (item.pk, "harmful", "open")
    assert client.post("/api/v1/queues/default/next").json()["token"] == got["token"]


@pytest.mark.parametrize("mode", [ReviewMode.BLIND, ReviewMode.DECIDE_FIRST])
def test_next_hides_the_guards_judgement_where_the_queue_does(with_key: KeyedClient, mode: ReviewMode) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    make_item(queue=default_queue(mode=mode))
    assert client.post("/api/v1/queues/default/next").json()["prediction"] is None


def test_the_reveal_keeps_the_first_verdict_and_shows_the_guards(with_key: KeyedClient) -> None:
    make_item(queue=default_queue(mode=ReviewMode.DECIDE_FIRST))
    client = with_key(ApiScope.REVIEWS_WRITE)
    address = f"/api/v1/assignments/{client.post('/api/v1/queues/default/next').json()['token']}/reveal"
    assert client.post(address, {}, format="json").status_code == 422
    assert (
        client.post(address, {"prompt_label": "harmful", "response_label": "harmful"}, format="json").status_code == 422
    )
    for label in ("unharmful", "harmful"):
        shown = client.post(address, {"prompt_label": label}, format="json").json()
        assert (shown["mode"], shown["prediction"]["prompt_label"]) == ("decide_first", "harmful")
    assert Assignment.objects.get().first_prompt_label == "unharmful"
    assert client.post("/api/v1/queues/default/next").json()["prediction"]["prompt_label"] == "harmful"


@pytest.mark.parametrize("mode", [ReviewMode.BLIND, ReviewMode.OPEN])
def test_only_what_is_decided_first_can_be_revealed(with_key: KeyedClient, mode: ReviewMode) -> None:
    make_item(queue=default_queue(mode=mode))
    client = with_key(ApiScope.REVIEWS_WRITE)
    token = client.post("/api/v1/queues/default/next").json()["token"]
    answer = client.post(f"/api/v1/assignments/{token}/reveal", {"prompt_label": "harmful"}, format="json")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:guardapp:problem:nothing_to_reveal")
    assert Assignment.objects.get().first_prompt_label is None


def test_an_empty_queue_is_a_204_and_an_unknown_one_a_404(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    assert client.post("/api/v1/queues/default/next").status_code == 204
    assert client.post("/api/v1/queues/none/next").status_code == 404


def test_an_item_can_be_skipped_escalated_and_held(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    make_item()
    make_item()
    first = client.post("/api/v1/queues/default/next").json()["token"]
    assert client.post(f"/api/v1/assignments/{first}/heartbeat").json()["token"] == first
    assert client.post(f"/api/v1/assignments/{first}/skip").json()["state"] == AssignmentState.SKIPPED
    second = client.post("/api/v1/queues/default/next").json()["token"]
    assert client.post(f"/api/v1/assignments/{second}/escalate", {"reason": "unsure"}, format="json").status_code == 200
    assert client.post(f"/api/v1/assignments/{second}/skip").status_code == 409


def test_a_draft_comes_back_with_the_item_and_an_undo_gives_the_item_back(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    make_item()
    token = client.post("/api/v1/queues/default/next").json()["token"]
    assert (
        client.put(f"/api/v1/assignments/{token}/draft", {"payload": {"note": "half"}}, format="json").status_code
        == 200
    )
    assert client.post("/api/v1/queues/default/next").json()["draft"] == {"note": "half"}
    review = client.post(
        f"/api/v1/assignments/{token}/submit",
        {"kind": "accepted", "prompt_label": "harmful"},
        format="json",
        headers={"Idempotency-Key": "a-key-of-its-own"},
    ).json()
    assert client.post(f"/api/v1/reviews/{review['id']}/undo").json()["draft"]["prompt_label"] == "harmful"
    assert client.post(f"/api/v1/reviews/{review['id']}/undo").status_code == 409


def test_a_draft_that_no_database_can_hold_is_refused(with_key: KeyedClient) -> None:
    client = with_key(ApiScope.REVIEWS_WRITE)
    make_item()
    token = client.post("/api/v1/queues/default/next").json()["token"]
    answer = client.put(f"/api/v1/assignments/{token}/draft", {"payload": {"note": "a\x00"}}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/payload")


def test_an_assignment_of_somebody_else_is_not_there(with_key: KeyedClient) -> None:
    make_item()
    token = with_key(ApiScope.REVIEWS_WRITE).post("/api/v1/queues/default/next").json()["token"]
    other = with_key(ApiScope.REVIEWS_WRITE)
    for action in ("skip", "heartbeat"):
        assert other.post(f"/api/v1/assignments/{token}/{action}").status_code == 404
    assert other.put(f"/api/v1/assignments/{token}/draft", {"payload": {}}, format="json").status_code == 404
