"""While an item is held: its draft and its heartbeat."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Review, User
from annotation.review.drafts import save_draft
from annotation.status import ReviewMode
from tests.annotation.pages.review.test_review import STEP, hold, run_out, send
from tests.factories import default_queue, make_item, make_user
from tests.markup import folded

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def test_autosave_keeps_unfinished_work(client: Client, reviewer: User) -> None:
    make_item()
    held = hold(reviewer)
    mark: dict[str, Any] = {"step-1-mark": "unsure"}
    assert send(client, held, "draft", prompt_label="", note="half a thou", **mark).status_code == 200
    page = folded(client.get(reverse("review", args=["default"])).text)
    assert "half a thou" in page
    assert 'data-mark="unsure" checked' in page


def test_the_heartbeat_renews_the_hold_and_reports_when_it_is_gone(client: Client, reviewer: User) -> None:
    make_item()
    held = hold(reviewer)
    assert client.post(reverse("heartbeat", args=[held.token])).json()["seconds_left"] > 500
    run_out(held)
    assert client.post(reverse("heartbeat", args=[held.token])).status_code == 409


@pytest.mark.parametrize(
    "payload",
    [
        {"steps": "two"},
        {"steps": ["one"]},
        {"steps": [{"text": STEP, "edit": 5, "mark": []}]},
        {"categories": 5},
        {"categories": [[1]]},
        {"first": "harmful"},
        {"first": ["harmful"]},
        {"note": {"a": 1}},
    ],
)
@pytest.mark.parametrize("mode", [ReviewMode.OPEN, ReviewMode.DECIDE_FIRST])
def test_a_draft_of_a_program_in_its_own_shape_does_not_break_the_page(
    client: Client, reviewer: User, payload: dict[str, Any], mode: ReviewMode
) -> None:
    make_item(queue=default_queue(mode=mode), prediction={"steps": [STEP]})
    save_draft(reviewer=reviewer, token=hold(reviewer).token, payload=payload)
    assert client.get(reverse("review", args=["default"])).status_code == 200
    assert send(client, hold(reviewer)).status_code == 200
    assert Review.objects.count() == 1
