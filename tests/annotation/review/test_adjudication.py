"""Adjudication: what a lead sees side by side, and what comes of the side they take."""

import re
import uuid
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from annotation.errors import DecisionNotValid, SideGone
from annotation.insights.agreement import agreement
from annotation.models import Assignment, GoldLabel, HardSample, Item, Review, User
from annotation.review.adjudication import adjudicate, decision_for_side
from annotation.review.adjudication_values import Dispute, dispute_of
from annotation.review.assign import assign_escalated, assign_next
from annotation.review.decision import Decision, StepReview
from annotation.review.submit import escalate, submit_review
from annotation.review.undo import undo_last
from annotation.status import (
    AssignmentState,
    GoldSource,
    ItemStatus,
    ReviewKind,
    ReviewMode,
    Role,
    StepMark,
    TargetSource,
)
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user
from tests.markup import folded

pytestmark = pytest.mark.django_db
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
STEPS = ("The user asks for a thing.", "The thing is dangerous (S1).")
BREAD = "The thing is a loaf of bread."
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL, categories=("S1",), note="Plainly violent.")
BREADY = Decision(
    kind=ReviewKind.CORRECTED,
    prompt_label=UNHARMFUL,
    severity=0,
    reason="Bread harms nobody.",
    steps=(StepReview(STEPS[0], StepMark.RIGHT), StepReview(STEPS[1], StepMark.WRONG, BREAD)),
)
HTMX = {"HX-Request": "true"}


def review(person: User, decision: Decision) -> Review:
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    return submit_review(reviewer=person, token=lease.token, idempotency_key=uuid.uuid4().hex, decision=decision)


def disputed(**queue: Any) -> Item:
    item = make_item(queue=default_queue(reviews_per_item=2, **queue))
    review(make_user(), ACCEPT)
    review(make_user(), BREADY)
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    return item


def taken_by(lead: User) -> Assignment:
    held = assign_escalated(lead=lead)
    assert held is not None
    return held


def shown(held: Assignment) -> Dispute:
    dispute = dispute_of(held)
    assert dispute is not None
    return dispute


@pytest.fixture
def lead(client: Client) -> User:
    user = make_user(Role.LEAD)
    client.force_login(user)
    return user


def settle(client: Client, held: Assignment, *, name: str = "submit", **fields: Any) -> HttpResponse:
    data = {"idempotency_key": "0123456789abcdef", "reason": "Clear enough.", "back": "escalated", **fields}
    return client.post(reverse(name, args=[held.token]), data, headers=HTMX)  # type: ignore[return-value]


def test_every_side_stands_beside_the_guards_judgement_and_differences_are_marked(lead: User) -> None:
    disputed()
    dispute = shown(taken_by(lead))
    assert [column.take.partition("-")[0] for column in dispute.columns] == ["side", "side", "guard"]
    assert [column.who for column in dispute.sides] == [
        side.reviewer.pseudonym for side in Review.objects.order_by("id")
    ]
    assert dispute.differing == ["Prompt", "Categories"]
    first, second, guard = (column.cells for column in dispute.columns)
    assert [cell.words for cell in first if cell.differs] == ["Prompt", "Categories", "Step 2"]
    edited = next(cell.value for cell in second if cell.words == "Step 2")
    assert "".join(segment.text for segment in edited.segments if segment.op != "delete") == BREAD
    assert next(cell.value for cell in guard if cell.words == "Step 2") == STEPS[1]


def test_the_adjudicator_is_not_one_of_the_sides(lead: User) -> None:
    item = make_item(queue=default_queue(reviews_per_item=2))
    review(lead, ACCEPT)
    review(make_user(), BREADY)
    assert assign_escalated(lead=lead) is None
    assert assign_escalated(lead=lead, item=item) is None
    held = taken_by(make_user(Role.LEAD))
    adjudicate(
        lead=held.reviewer,
        token=held.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL, reason="It is bread."),
    )
    pair = agreement(since=item.created_at).by_task[0]
    assert (pair.items, pair.pairs) == (1, 1)  # nor a third rater


def test_taking_a_side_settles_its_verdict_and_its_steps_and_keeps_whose_they_are(client: Client, lead: User) -> None:
    item = disputed()
    held, side = taken_by(lead), Review.objects.latest("id")
    assert "Nothing is escalated" in settle(client, held, take=f"side-{side.pk}").text
    settled = Review.objects.get(reviewer=lead)
    assert (settled.upholds, settled.prompt_label, settled.reason) == (side, "unharmful", "Clear enough.")
    gold = GoldLabel.objects.standing().get(item=item)
    assert (gold.source, gold.prompt_label) == (GoldSource.ADJUDICATED, "unharmful")
    assert (gold.target_source, gold.target_steps) == (TargetSource.EDITED, [STEPS[0], BREAD])
    assert "takes the side of" in client.get(reverse("item", args=[item.pk])).text


def test_taking_the_guards_judgement_accepts_it(client: Client, lead: User) -> None:
    item = disputed()
    # what the hidden fields hold does not count
    settle(client, taken_by(lead), take="guard", prompt_label="unharmful")
    settled = Review.objects.get(reviewer=lead)
    assert (settled.kind, settled.prompt_label, settled.categories, settled.upholds) == (
        ReviewKind.ACCEPTED,
        "harmful",
        ["S1"],
        None,
    )
    assert not HardSample.objects.filter(gold__item=item).exists()


def test_an_own_decision_may_be_a_third_one(client: Client, lead: User) -> None:
    disputed()
    settle(client, taken_by(lead), take="own", prompt_label="harmful", categories=["S2"], severity="1")
    settled = Review.objects.get(reviewer=lead)
    assert (settled.kind, settled.categories, settled.severity, settled.upholds) == (
        ReviewKind.CORRECTED,
        ["S2"],
        1,
        None,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"take": "guard", "reason": " "}, "Give the reason"),
        ({}, "Take a side"),
        ({"take": "side-0"}, "has been taken back"),
        ({"take": "own"}, "Choose harmful or unharmful for the prompt"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_settled(
    client: Client, lead: User, fields: dict[str, str], words: str
) -> None:
    disputed()
    answer = settle(client, taken_by(lead), **fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert not GoldLabel.objects.exists()


def test_a_side_that_was_taken_back_meanwhile_cannot_be_taken(client: Client, lead: User) -> None:
    disputed()
    held, side = taken_by(lead), Review.objects.latest("id")
    undo_last(reviewer=side.reviewer)
    assert settle(client, held, take=f"side-{side.pk}").status_code == 422
    with pytest.raises(SideGone):
        adjudicate(
            lead=lead,
            token=held.token,
            idempotency_key=uuid.uuid4().hex,
            upholds=side,
            decision=decision_for_side(side, prediction=held.item.prediction, reason="Clear.", note=""),
        )


def test_no_adjudication_goes_without_a_reason(lead: User) -> None:
    disputed()
    with pytest.raises(DecisionNotValid, match="reason"):
        adjudicate(lead=lead, token=taken_by(lead).token, idempotency_key=uuid.uuid4().hex, decision=ACCEPT)


def test_the_page_names_reviewers_by_pseudonym_only(client: Client, lead: User) -> None:
    item = disputed()
    page = folded(client.get(reverse("review_escalated")).text)
    for side in Review.objects.all():
        assert side.reviewer.pseudonym in page
        # a pseudonym may begin like another one's name
        assert not re.search(rf"{side.reviewer.username}\b", page)
    for words in ("Bread harms nobody.", "Plainly violent.", "<ins>", item.prompt):
        assert words in page


def test_a_blind_side_has_no_steps_and_can_be_taken(client: Client, lead: User) -> None:
    disputed_item = make_item(queue=default_queue(reviews_per_item=2, mode=ReviewMode.BLIND))
    review(make_user(), Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL, categories=("S1",)))
    review(make_user(), Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL))
    assert "not shown to this reviewer" in client.get(reverse("review_escalated")).text
    settle(client, taken_by_again(lead), take=f"side-{Review.objects.earliest('id').pk}")
    assert GoldLabel.objects.get(item=disputed_item).target_steps == list(STEPS)


def taken_by_again(lead: User) -> Assignment:
    return Assignment.objects.get(reviewer=lead, state=AssignmentState.ACTIVE)


def test_an_undone_adjudication_comes_back_with_what_was_taken(client: Client, lead: User) -> None:
    item = disputed()
    side = Review.objects.latest("id")
    settle(client, taken_by(lead), take=f"side-{side.pk}", note="Ask the bakery.")
    page = folded(client.post(reverse("undo_last"), headers=HTMX).text)
    assert f'value="side-{side.pk}" checked' in page
    assert "Ask the bakery." in page
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    settle(client, taken_by_again(lead), take="guard", idempotency_key="fedcba9876543210")
    assert GoldLabel.objects.standing().get(item=item).prompt_label == "harmful"


def test_unfinished_work_on_a_dispute_is_kept(client: Client, lead: User) -> None:
    disputed()
    side = Review.objects.earliest("id")
    settle(client, taken_by(lead), name="draft", take=f"side-{side.pk}", reason="Half a")
    page = folded(client.get(reverse("review_escalated")).text)
    assert f'value="side-{side.pk}" checked' in page
    assert 'value="Half a"' in page


def test_a_question_without_a_review_is_decided_on_the_review_page(client: Client, lead: User) -> None:
    item, person = make_item(), make_user()
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    escalate(reviewer=person, token=lease.token, reason="Is this irony?")
    page = client.get(reverse("review_dispute", args=[item.pk])).text
    assert "Accept &amp; next" in page
    assert "Side by side" not in page


def test_a_chosen_dispute_is_for_leads_and_for_one_at_a_time(client: Client, lead: User) -> None:
    item = disputed()
    address = reverse("review_dispute", args=[item.pk])
    assert "Side by side" in client.get(address).text
    assert "Side by side" in client.get(address).text  # it stays theirs
    client.force_login(make_user(Role.LEAD))
    assert client.get(address)["Location"] == reverse("item", args=[item.pk])
    client.force_login(make_user())
    assert client.get(address).status_code == 403
    client.logout()
    assert client.get(address)["Location"].startswith(reverse("login"))
