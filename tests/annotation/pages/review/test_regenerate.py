"""Regenerate from here, on the page: asking, waiting, the answer."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Assignment, Regeneration, User
from annotation.review.assign import assign_next
from annotation.status import RegenerationState, ReviewMode
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
EDIT = {"step-1-edit": "The user asks for a toy.", "step-1-mark": "wrong"}


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr("annotation.pages.review.regenerate.ring", lambda task: names.append(task.name))
    return names


@pytest.fixture
def reviewer(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def hold(reviewer: User, mode: ReviewMode = ReviewMode.OPEN) -> str:
    make_item(queue=default_queue(mode=mode))
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert held is not None
    return reverse("regenerate", args=[held.token])


def finish(**fields: Any) -> None:
    Regeneration.objects.update(
        state=RegenerationState.DONE, prompt_label="unharmful", finished_at=timezone.now(), **fields
    )


def test_nobody_asks_before_signing_in(client: Client) -> None:
    address = hold(make_user())
    assert client.post(address, {"from": "1"})["Location"].startswith(reverse("login"))
    assert client.post(address, {"from": "1"}, headers={"HX-Request": "true"}).status_code == 401


def test_somebody_elses_assignment_is_not_there(client: Client, reviewer: User) -> None:
    address = hold(make_user())
    assert client.post(address, {"from": "1"}).status_code == 404
    assert client.get(address, {"from": "1"}).status_code == 404
    assert not Regeneration.objects.exists()


def test_the_steps_before_are_kept_as_the_person_left_them(client: Client, reviewer: User, rung: list[str]) -> None:
    answer = client.post(hold(reviewer), {"from": "2", **EDIT})
    assert "asked to write from step 2" in answer.text
    assert Regeneration.objects.get().kept == ["The user asks for a toy."]
    assert rung == ["annotation.tasks.regenerate"]


def test_a_step_that_was_marked_wrong_is_not_kept(client: Client, reviewer: User) -> None:
    client.post(hold(reviewer), {"from": "2", "step-1-mark": "wrong"})
    assert Regeneration.objects.get().kept == []


def test_the_answer_stands_beside_the_old_steps(client: Client, reviewer: User) -> None:
    address = hold(reviewer)
    client.post(address, {"from": "2", **EDIT})
    finish(steps=["The user asks for a toy.", "It is for a <child>."])
    page = client.get(address, {"from": "2"}).text
    assert "The thing is dangerous (S1)." in page
    assert "It is for a &lt;child&gt;." in page
    assert "asks for a toy" not in page
    assert "Use it" in page


def test_what_failed_is_shown(client: Client, reviewer: User) -> None:
    address = hold(reviewer)
    client.post(address, {"from": "1"})
    Regeneration.objects.update(state=RegenerationState.FAILED, error="The guard wrote no further step.")
    assert "The guard wrote no further step." in client.get(address, {"from": "1"}).text


def test_a_missing_worker_is_reported_after_a_while(client: Client, reviewer: User) -> None:
    address = hold(reviewer)
    client.post(address, {"from": "1"})
    assert "No worker" not in client.get(address, {"from": "1"}).text
    Regeneration.objects.update(created_at=timezone.now() - timedelta(seconds=21))
    assert "No worker of the guard has taken it yet" in client.get(address, {"from": "1"}).text
    Regeneration.objects.update(state=RegenerationState.RUNNING)
    assert "No worker" not in client.get(address, {"from": "1"}).text


@pytest.mark.parametrize("start", ["", "0", "3", "-1", "x", "9" * 30])
def test_a_step_that_is_not_there_is_a_404(client: Client, reviewer: User, start: str) -> None:
    assert client.post(hold(reviewer), {"from": start}).status_code == 404


def test_a_lost_hold_is_reported_with_the_way_back(client: Client, reviewer: User) -> None:
    address = hold(reviewer)
    Assignment.objects.update(expires_at=timezone.now())
    answer = client.post(address, {"from": "1"})
    assert answer.status_code == 409
    assert "Take the item again" in answer.text


def test_a_blind_queue_writes_nothing_again(client: Client, reviewer: User) -> None:
    answer = client.post(hold(reviewer, ReviewMode.BLIND), {"from": "1"})
    assert answer.status_code == 409
    assert "not shown to you" in answer.text
