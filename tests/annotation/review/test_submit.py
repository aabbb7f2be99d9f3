"""Submits, skips, drafts and undo."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from annotation.errors import (
    AssignmentNotFound,
    DecisionNotValid,
    IdempotencyKeyReused,
    LeaseExpired,
    NothingToUndo,
    SnapshotUsedIt,
)
from annotation.models import Assignment, Draft, Event, GoldLabel, Review, User
from annotation.review import gold
from annotation.review.assign import assign_next
from annotation.review.decision import Decision, StepReview
from annotation.review.drafts import save_draft
from annotation.review.submit import skip, submit_review
from annotation.review.undo import undo_last, undo_review
from annotation.status import AssignmentState, EventKind, ReviewKind, ReviewMode, TargetSource
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL)
FLIP = Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL)
STEPS = ("The user asks for a thing.", "The thing is dangerous (S1).")


def held(reviewer: User) -> Assignment:
    assignment = assign_next(reviewer=reviewer, queue=default_queue())
    assert assignment is not None
    return assignment


def submit(assignment: Assignment, decision: Decision = ACCEPT, key: str | None = None) -> Review:
    return submit_review(
        reviewer=assignment.reviewer, token=assignment.token, idempotency_key=key or uuid.uuid4().hex, decision=decision
    )


def run_out(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_a_skipped_item_goes_to_somebody_else_and_never_back() -> None:
    item = make_item()
    reviewer = make_user()
    skip(reviewer=reviewer, token=held(reviewer).token)
    assert assign_next(reviewer=reviewer, queue=default_queue()) is None
    assert held(make_user()).item_id == item.pk


def test_a_skip_that_is_sent_twice_is_one_skip() -> None:
    item, reviewer = make_item(), make_user()
    assignment = held(reviewer)
    for _ in range(2):
        skip(reviewer=reviewer, token=assignment.token)
    item.refresh_from_db()
    assert (item.free_slots, Event.objects.filter(kind=EventKind.SKIPPED).count()) == (1, 1)


def test_an_expired_submit_is_refused_and_kept_as_a_draft() -> None:
    make_item()
    assignment = held(make_user())
    run_out(assignment)
    with pytest.raises(LeaseExpired):
        submit(assignment, FLIP)
    assert Draft.objects.get(item=assignment.item, reviewer=assignment.reviewer).payload["prompt_label"] == "unharmful"
    assert not Review.objects.exists()


def test_the_same_submit_twice_is_one_review() -> None:
    make_item()
    assignment = held(make_user())
    assert submit(assignment, key="same-key").pk == submit(assignment, key="same-key").pk
    assert Review.objects.count() == 1


def test_a_key_of_another_submit_is_refused() -> None:
    make_item()
    make_item()
    reviewer = make_user()
    submit(held(reviewer), key="same-key")
    with pytest.raises(IdempotencyKeyReused):
        submit(held(reviewer), key="same-key")


def test_a_second_submit_with_a_new_key_finds_the_hold_gone() -> None:
    make_item()
    assignment = held(make_user())
    submit(assignment)
    with pytest.raises(LeaseExpired):
        submit(assignment)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"response_label": HARMFUL}, "response_label"),
        ({"categories": ("S99",)}, "categories"),
        ({"severity": 4}, "severity"),
        ({"confidence": 0}, "confidence"),
        ({"note": "x" * 10_001}, "note"),
        ({"steps": (StepReview("not what the guard wrote"),)}, "steps"),
        ({"prompt_label": UNHARMFUL}, "kind"),
    ],
)
def test_a_decision_that_does_not_fit_names_its_field(change: dict[str, Any], field: str) -> None:
    make_item()
    values: dict[str, Any] = {"kind": ReviewKind.ACCEPTED, "prompt_label": HARMFUL, **change}
    with pytest.raises(DecisionNotValid) as caught:
        submit(held(make_user()), Decision(**values))
    assert caught.value.field == field


def test_a_response_wants_a_label() -> None:
    make_item(response="Sure, here it is.")
    with pytest.raises(DecisionNotValid, match="response_label"):
        submit(held(make_user()), FLIP)


def test_undo_brings_the_item_and_the_work_back() -> None:
    make_item()
    reviewer = make_user()
    review = submit(held(reviewer), FLIP)
    assignment = undo_last(reviewer=reviewer)
    assert assignment.item_id == review.item_id
    assert held(reviewer).pk == assignment.pk
    assert GoldLabel.objects.get().withdrawn_at is not None
    assert Draft.objects.get().payload["prompt_label"] == "unharmful"
    assert Review.objects.count() == 1, "history stays"
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None, "the slot is the undoer's"
    submit(assignment)
    assert GoldLabel.objects.get(withdrawn_at__isnull=True).prompt_label == "harmful"


def test_undo_has_an_end() -> None:
    reviewer = make_user()
    with pytest.raises(NothingToUndo):
        undo_last(reviewer=reviewer)
    reviews = []
    for _ in range(11):
        make_item()
        reviews.append(submit(held(reviewer)))
    with pytest.raises(NothingToUndo):
        undo_review(reviewer=reviewer, review_id=reviews[0].pk)
    undo_review(reviewer=reviewer, review_id=reviews[1].pk)


def test_of_two_undos_at_once_the_second_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make_item()
    reviewer = make_user()
    reviews = [submit(held(reviewer))]
    # as both read it before either wrote
    monkeypatch.setattr("annotation.review.undo._undoable", lambda person: reviews)
    undo_last(reviewer=reviewer)
    with pytest.raises(NothingToUndo):
        undo_last(reviewer=reviewer)


def test_what_a_snapshot_used_cannot_be_undone() -> None:
    make_item()
    reviewer = make_user()
    submit(held(reviewer))
    assert gold.mark_used(gold_ids=[GoldLabel.objects.get().pk]) == 1
    with pytest.raises(SnapshotUsedIt):
        undo_last(reviewer=reviewer)
    with pytest.raises(IntegrityError):
        GoldLabel.objects.update(withdrawn_at=timezone.now())


def test_a_blind_review_takes_no_steps_and_its_agreement_is_not_acceptance() -> None:
    queue = default_queue(mode=ReviewMode.BLIND)
    make_item(queue=queue)
    assignment = held(make_user())
    with pytest.raises(DecisionNotValid, match="steps"):
        submit(assignment, Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL, steps=(StepReview(STEPS[0]),)))
    submit(assignment, Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL))
    assert GoldLabel.objects.get().target_source == TargetSource.OWN_ROLLOUT


def test_a_draft_belongs_to_its_reviewer_and_the_last_save_wins() -> None:
    make_item()
    reviewer = make_user()
    assignment = held(reviewer)
    for note in ("one", "two"):
        save_draft(reviewer=reviewer, token=assignment.token, payload={"note": note})
    assert Draft.objects.get(reviewer=reviewer).payload == {"note": "two"}
    with pytest.raises(AssignmentNotFound):
        save_draft(reviewer=make_user(), token=assignment.token, payload={})
    with pytest.raises(DecisionNotValid):
        save_draft(reviewer=reviewer, token=assignment.token, payload={"note": "x" * 300_000})
    assert assignment.state == AssignmentState.ACTIVE


def test_a_blind_reviewer_cannot_ask_whether_the_guard_agrees() -> None:
    make_item(queue=default_queue(mode=ReviewMode.BLIND))
    assignment = held(make_user())
    words = []
    for label in (HARMFUL, UNHARMFUL):
        with pytest.raises(DecisionNotValid, match="kind") as refused:
            submit(assignment, Decision(kind=ReviewKind.ACCEPTED, prompt_label=label))
        words.append(refused.value.message)
    assert words[0] == words[1]
