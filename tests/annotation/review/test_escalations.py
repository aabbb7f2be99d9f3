"""What was escalated: a lead settles it, and nobody else's work changes that."""

import pytest

from annotation.errors import (
    DecisionNotValid,
    ItemTaken,
    SettledByLead,
)
from annotation.models import Assignment, GoldLabel, Item, Review, User
from annotation.review.assign import assign_escalated, assign_next, take_again
from annotation.review.decision import Decision
from annotation.review.lists import held_escalated
from annotation.review.submit import escalate
from annotation.review.undo import undo_last
from annotation.status import GoldSource, ItemStatus, Role
from tests.annotation.review.test_submit import ACCEPT, FLIP, held, run_out, submit
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def test_a_lead_settles_what_was_escalated() -> None:
    item = make_item()
    reviewer, lead = make_user(), make_user(Role.LEAD)
    with pytest.raises(DecisionNotValid, match="reason"):
        escalate(reviewer=reviewer, token=held(reviewer).token, reason="  ")
    escalate(reviewer=reviewer, token=held(reviewer).token, reason="Needs a lead")
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None
    assignment = assign_escalated(lead=lead)
    assert assignment is not None
    submit(assignment, FLIP)
    assert GoldLabel.objects.get(item=item).source == GoldSource.ADJUDICATED


def two_review_item() -> Item:
    return make_item(queue=default_queue(reviews_per_item=2))


def adjudicated(lead: User) -> Assignment:
    assignment = assign_escalated(lead=lead)
    assert assignment is not None
    return assignment


def test_a_reviewer_does_not_settle_what_somebody_else_escalated() -> None:
    item = two_review_item()
    first, second, lead = make_user(), make_user(), make_user(Role.LEAD)
    mine, theirs = held(first), held(second)
    escalate(reviewer=second, token=theirs.token, reason="Needs a lead")
    submit(mine)
    assert not GoldLabel.objects.exists()
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    submit(adjudicated(lead), FLIP)
    assert GoldLabel.objects.get().source == GoldSource.ADJUDICATED


@pytest.mark.parametrize("decision", [ACCEPT, FLIP])
def test_a_review_after_the_lead_settled_the_item_is_kept_and_changes_nothing(decision: Decision) -> None:
    item = two_review_item()
    first, second = make_user(), make_user()
    mine, theirs = held(first), held(second)
    escalate(reviewer=second, token=theirs.token, reason="Needs a lead")
    label = submit(adjudicated(make_user(Role.LEAD))).gold_labels.get()
    submit(mine, decision)
    assert GoldLabel.objects.get(withdrawn_at__isnull=True) == label
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED
    assert Review.objects.count() == 2


def test_escalating_what_a_lead_has_settled_does_not_open_it_again() -> None:
    item = two_review_item()
    first, second = make_user(), make_user()
    mine, theirs = held(first), held(second)
    escalate(reviewer=second, token=theirs.token, reason="Needs a lead")
    submit(adjudicated(make_user(Role.LEAD)))
    escalate(reviewer=first, token=mine.token, reason="Me too")
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED


def test_a_reviewer_whose_hold_ran_out_cannot_take_what_was_escalated_meanwhile() -> None:
    make_item()
    first, second = make_user(), make_user()
    mine = held(first)
    run_out(mine)
    escalate(reviewer=second, token=held(second).token, reason="Needs a lead")
    with pytest.raises(ItemTaken):
        take_again(reviewer=first, token=mine.token)


def test_undo_does_not_take_back_what_a_lead_settled() -> None:
    two_review_item()
    first, second = make_user(), make_user()
    submit(held(first))
    submit(held(second), FLIP)
    submit(adjudicated(make_user(Role.LEAD)))
    with pytest.raises(SettledByLead):
        undo_last(reviewer=first)
    assert GoldLabel.objects.get().withdrawn_at is None


def test_undo_leaves_somebody_elses_escalation_with_the_leads() -> None:
    item = two_review_item()
    first, second, lead = make_user(), make_user(), make_user(Role.LEAD)
    submit(held(first))
    escalate(reviewer=second, token=held(second).token, reason="Needs a lead")
    undo_last(reviewer=first)
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    assert adjudicated(lead).item_id == item.pk


def test_undo_leaves_a_dispute_with_the_lead_who_holds_it() -> None:
    two_review_item()
    first, second, lead = make_user(), make_user(), make_user(Role.LEAD)
    submit(held(first))
    submit(held(second), FLIP)
    settling = adjudicated(lead)
    undo_last(reviewer=first)
    submit(settling)
    assert GoldLabel.objects.get().source == GoldSource.ADJUDICATED


def test_an_escalated_item_whose_lead_went_away_goes_to_the_next_lead() -> None:
    item = make_item()
    reviewer, away = make_user(), make_user(Role.LEAD)
    escalate(reviewer=reviewer, token=held(reviewer).token, reason="Needs a lead")
    run_out(adjudicated(away))
    assert held_escalated(away) is None
    assert adjudicated(make_user(Role.LEAD)).item_id == item.pk
