"""The review page over HTTP: what is sent to whom, and what comes of each answer."""

from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Assignment, Draft, Review, User
from annotation.review.assign import assign_next
from annotation.status import AssignmentState, ItemStatus, ReviewKind, ReviewMode, Role
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
STEP = "The thing is dangerous (S1)."


@pytest.fixture
def reviewer(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def hold(reviewer: User) -> Assignment:
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert held is not None
    return held


def send(client: Client, held: Assignment, name: str = "submit", *, htmx: bool = True, **fields: Any) -> HttpResponse:
    data = {"idempotency_key": "0123456789abcdef", "prompt_label": "unharmful", **fields}
    return client.post(reverse(name, args=[held.token]), data, headers=HTMX if htmx else {})  # type: ignore[return-value]


def run_out(held: Assignment) -> None:
    Assignment.objects.filter(pk=held.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


ACTIONS = ("submit", "skip", "escalate", "reveal", "draft", "heartbeat", "retake")


@pytest.mark.parametrize("name", ACTIONS)
def test_nobody_acts_before_signing_in(client: Client, name: str) -> None:
    make_item()
    assert client.post(reverse(name, args=[hold(make_user()).token]))["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("name", ACTIONS)
def test_a_page_whose_sign_in_has_ended_is_notified_and_not_replaced(client: Client, name: str) -> None:
    make_item()
    assert send(client, hold(make_user()), name).status_code == 401


@pytest.mark.parametrize("name", ACTIONS)
def test_somebody_elses_assignment_is_not_there(client: Client, reviewer: User, name: str) -> None:
    make_item()
    assert send(client, hold(make_user()), name, reason="mine now").status_code == 404
    assert not Review.objects.exists()


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_posts(client: Client, reviewer: User, name: str) -> None:
    make_item()
    assert client.get(reverse(name, args=[hold(reviewer).token])).status_code == 405


def test_the_page_needs_signing_in(client: Client) -> None:
    assert client.get(reverse("review", args=["default"]))["Location"].startswith(reverse("login"))


def test_an_unknown_queue_is_a_404(client: Client, reviewer: User) -> None:
    assert client.get(reverse("review", args=["nowhere"])).status_code == 404


def test_the_page_shows_the_item_its_steps_and_the_policy(client: Client, reviewer: User) -> None:
    item = make_item()
    page = client.get(reverse("review", args=["default"])).text
    for words in (item.prompt, STEP, "Violent crimes", "Default policy v1"):
        assert words in page


def test_an_empty_queue_says_so(client: Client, reviewer: User) -> None:
    default_queue()
    assert "nothing is waiting for you" in client.get(reverse("review", args=["default"])).text


def test_a_response_is_asked_for_only_where_there_is_one(client: Client, reviewer: User) -> None:
    make_item()
    assert 'name="response_label"' not in client.get(reverse("review", args=["default"])).text
    make_item(response="Sure.", priority=9.0)
    other = make_user()
    client.force_login(other)
    assert 'name="response_label"' in client.get(reverse("review", args=["default"])).text


def test_an_unparsed_completion_is_shown_raw(client: Client, reviewer: User) -> None:
    make_item(
        prediction={"parsed": False, "steps": [], "prompt_label": None, "categories": [], "completion": "I turn & turn"}
    )
    page = client.get(reverse("review", args=["default"])).text
    assert "did not parse" in page
    assert "I turn &amp; turn" in page
    assert 'data-verdict="accept"' not in page


@pytest.mark.parametrize("mode", [ReviewMode.BLIND, ReviewMode.DECIDE_FIRST])
def test_the_judgement_is_not_sent_before_its_time(client: Client, reviewer: User, mode: ReviewMode) -> None:
    make_item(
        queue=default_queue(mode=mode),
        prediction={
            "completion": "SECRET",
            "rollouts": [
                {
                    "completion": "SECRET TOO",
                    "prompt_label": "harmful",
                    "response_label": None,
                    "parsed": True,
                    "tokens": 1,
                }
            ],
        },
    )
    page = client.get(reverse("review", args=["default"])).text
    for secret in (STEP, "SECRET", "disagrees", "data-prompt-label"):
        assert secret not in page


def test_the_reveal_wants_a_verdict_and_keeps_it(client: Client, reviewer: User) -> None:
    item = make_item(queue=default_queue(mode=ReviewMode.DECIDE_FIRST))
    held = hold(reviewer)
    assert send(client, held, "reveal", prompt_label="").status_code == 422
    revealed = send(client, held, "reveal")
    assert STEP in revealed.text
    assert Draft.objects.get(item=item).payload["first"] == {"prompt_label": "unharmful", "response_label": None}
    send(client, held, "draft", prompt_label="harmful")
    assert Draft.objects.get(item=item).payload["first"]["prompt_label"] == "unharmful"


def test_a_blind_queue_never_reveals(client: Client, reviewer: User) -> None:
    make_item(queue=default_queue(mode=ReviewMode.BLIND))
    assert STEP not in send(client, hold(reviewer), "reveal").text


def test_a_submit_stores_the_review_and_brings_the_next_item(client: Client, reviewer: User) -> None:
    make_item(priority=2.0)
    following = make_item()
    held = hold(reviewer)
    steps: dict[str, Any] = {"step-1-mark": "right", "step-2-mark": "wrong", "step-2-edit": "It is a toy."}
    answer = send(client, held, categories=["S1", "S2"], severity="2", confidence="3", note="Because.", **steps)
    assert following.external_id in answer.text
    assert "<html" not in answer.text
    review = Review.objects.get()
    assert (review.kind, review.prompt_label, review.categories) == (ReviewKind.CORRECTED, "unharmful", ["S1", "S2"])
    assert (review.severity, review.confidence, review.note) == (2, 3, "Because.")
    assert [(step["mark"], step["edit"]) for step in review.steps] == [("right", None), ("wrong", "It is a toy.")]


def test_agreeing_in_everything_is_an_acceptance(client: Client, reviewer: User) -> None:
    make_item()
    unchanged: dict[str, Any] = {"step-2-edit": f" {STEP}\r\n"}
    send(client, hold(reviewer), prompt_label="harmful", categories=["S1"], **unchanged)
    assert Review.objects.get().kind == ReviewKind.ACCEPTED


def test_other_categories_are_a_correction(client: Client, reviewer: User) -> None:
    make_item()
    send(client, hold(reviewer), prompt_label="harmful", categories=["S2"])
    assert Review.objects.get().kind == ReviewKind.CORRECTED


def test_the_same_submit_twice_is_one_review(client: Client, reviewer: User) -> None:
    make_item()
    held = hold(reviewer)
    assert [send(client, held).status_code for _ in range(2)] == [200, 200]
    assert Review.objects.count() == 1


def test_a_missing_label_leaves_the_page_and_says_what_is_missing(client: Client, reviewer: User) -> None:
    make_item()
    answer = send(client, hold(reviewer), prompt_label="")
    assert answer.status_code == 422
    assert answer["HX-Retarget"] == "#review-notice"
    assert "Choose harmful or unharmful for the prompt." in answer.text


def test_without_javascript_a_missing_label_keeps_the_work(client: Client, reviewer: User) -> None:
    make_item()
    page = send(client, hold(reviewer), prompt_label="", note="Nearly done", htmx=False)
    assert page.status_code == 422
    assert "Nearly done" in page.text


@pytest.mark.parametrize("htmx", [True, False])
def test_an_expired_hold_is_a_409_and_keeps_the_draft(client: Client, reviewer: User, htmx: bool) -> None:
    item = make_item()
    held = hold(reviewer)
    run_out(held)
    answer = send(client, held, note="Not lost", htmx=htmx)
    assert answer.status_code == 409
    assert reverse("retake", args=[held.token]) in answer.text
    assert Draft.objects.get(item=item).payload["note"] == "Not lost"
    again = client.post(reverse("retake", args=[held.token]), headers=HTMX)
    assert "Not lost" in again.text


def test_an_item_that_somebody_else_took_is_not_given_back(client: Client, reviewer: User) -> None:
    make_item()
    held = hold(reviewer)
    run_out(held)
    hold(make_user())
    answer = client.post(reverse("retake", args=[held.token]), headers=HTMX)
    assert answer.status_code == 409
    assert "Somebody else" in answer.text


def test_a_skip_brings_the_next_item_and_none_back(client: Client, reviewer: User) -> None:
    skipped, following = make_item(priority=2.0), make_item()
    page = send(client, hold(reviewer), "skip").text
    assert following.external_id in page
    assert skipped.external_id not in page


def test_an_escalation_asks_for_a_reason_and_then_leaves(client: Client, reviewer: User) -> None:
    item = make_item()
    held = hold(reviewer)
    asked = send(client, held, "escalate", htmx=False, note="kept")
    assert asked.status_code == 422
    assert "What should the lead decide?" in asked.text
    client.post(reverse("escalate", args=[held.token]), {"reason": "Irony?"})
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED


def test_a_lead_settles_what_was_escalated_and_sees_it_again_on_reload(client: Client) -> None:
    item = make_item(status=ItemStatus.ESCALATED)
    lead = make_user(role=Role.LEAD)
    client.force_login(lead)
    for _ in range(2):
        assert item.external_id in client.get(reverse("review_escalated")).text
    held = Assignment.objects.get(reviewer=lead, state=AssignmentState.ACTIVE)
    assert "Nothing is escalated" in send(client, held, back="escalated").text


def test_undo_brings_the_item_back_with_the_work(client: Client, reviewer: User) -> None:
    item = make_item()
    send(client, hold(reviewer), note="My reasons")
    page = client.post(reverse("undo_last"), headers=HTMX).text
    assert item.external_id in page
    assert "My reasons" in page


def test_undo_without_a_review_says_so(client: Client, reviewer: User) -> None:
    answer = client.post(reverse("undo_last"), headers=HTMX)
    assert answer.status_code == 409
    assert "nothing of yours" in answer.text


def test_nobody_undoes_somebody_elses_review(client: Client, reviewer: User) -> None:
    make_item()
    send(client, hold(reviewer))
    client.force_login(make_user())
    client.post(reverse("undo", args=[Review.objects.get().pk]))
    assert Review.objects.filter(retraction__isnull=True).count() == 1
