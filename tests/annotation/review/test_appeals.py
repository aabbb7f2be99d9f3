"""Appeals reopen an item for somebody else."""

import uuid

import pytest
from django.utils import timezone

from annotation.models import Appeal, Assignment, GoldLabel, Item, User
from annotation.review.appeals import AppealOpenAlready, AppealReasonMissing, NothingToAppeal, open_appeal
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.review.undo import undo_last
from annotation.status import AppealState, GoldSource, ItemStatus, ReviewKind
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL, categories=("S1",))
FLIP = Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL)


def review(person: User, decision: Decision) -> Assignment:
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    submit_review(reviewer=person, token=lease.token, idempotency_key=uuid.uuid4().hex, decision=decision)
    return lease


def settled_item(person: User) -> Item:
    item = make_item()
    review(person, ACCEPT)
    return item


def test_an_appeal_goes_to_somebody_else_and_first() -> None:
    first = make_user()
    item = settled_item(first)
    make_item(priority=50.0)
    open_appeal(item=item, reason="It is a quote.", appellant="user 12")
    mine = assign_next(reviewer=first, queue=default_queue())
    assert mine is not None and mine.item_id != item.pk
    theirs = assign_next(reviewer=make_user(), queue=default_queue())
    assert theirs is not None and theirs.item_id == item.pk


@pytest.mark.parametrize(("decision", "state"), [(ACCEPT, AppealState.UPHELD), (FLIP, AppealState.OVERTURNED)])
def test_one_new_person_decides_an_appeal_even_of_gold_that_a_snapshot_used(
    decision: Decision, state: AppealState
) -> None:
    item = settled_item(make_user())
    default_queue(reviews_per_item=2)
    GoldLabel.objects.update(used_at=timezone.now())
    appeal = open_appeal(item=item, reason="It is a quote.")
    assert GoldLabel.objects.standing().get() == appeal.gold  # until the appeal is decided
    review(make_user(), decision)
    appeal.refresh_from_db()
    assert (appeal.state, appeal.outcome) == (state, GoldLabel.objects.standing().get())
    assert appeal.outcome is not None and appeal.outcome.source == GoldSource.APPEAL
    assert Item.objects.get(pk=item.pk).status == ItemStatus.REVIEWED


def test_an_undone_decision_opens_the_appeal_again() -> None:
    item, second = settled_item(make_user()), make_user()
    open_appeal(item=item, reason="It is a quote.")
    review(second, FLIP)
    undo_last(reviewer=second)
    assert Appeal.objects.get().state == AppealState.OPEN
    assert GoldLabel.objects.standing().get().prompt_label == "harmful"
    review(second, ACCEPT)
    assert Appeal.objects.get().state == AppealState.UPHELD


def test_an_appeal_wants_a_verdict_and_a_reason_and_is_open_once() -> None:
    with pytest.raises(NothingToAppeal):
        open_appeal(item=make_item(), reason="Why?")
    review(make_user(), ACCEPT)
    item = Item.objects.get()
    with pytest.raises(AppealReasonMissing):
        open_appeal(item=item, reason="  ")
    open_appeal(item=item, reason="Why?")
    with pytest.raises(AppealOpenAlready):
        open_appeal(item=item, reason="Why again?")
