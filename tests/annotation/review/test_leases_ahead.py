"""Leasing the next item early, the mode that is drawn for a lease, and rounds of review."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.errors import LeaseExpired
from annotation.models import Assignment, GoldLabel, Item
from annotation.review.assign import assign_next, drawn_mode, lease_ahead
from annotation.review.decision import Decision
from annotation.review.reveal import store_first_verdict
from annotation.review.submit import submit_review
from annotation.review.undo import undo_last
from annotation.status import AssignmentState, ItemStatus, ReviewKind, ReviewMode
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL)
FLIP = Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL)


def submit(assignment: Assignment, decision: Decision = ACCEPT) -> None:
    submit_review(
        reviewer=assignment.reviewer, token=assignment.token, idempotency_key=uuid.uuid4().hex, decision=decision
    )


def test_the_item_leased_ahead_is_the_one_that_comes_next() -> None:
    make_item(priority=3.0), make_item(priority=2.0), make_item(priority=1.0)
    person, queue = make_user(), default_queue()
    first = assign_next(reviewer=person, queue=queue)
    ahead = lease_ahead(reviewer=person, queue=queue)
    assert first is not None and ahead is not None and ahead.pk != first.pk and ahead.opened_at is None
    assert lease_ahead(reviewer=person, queue=queue) == ahead  # at most one
    assert assign_next(reviewer=person, queue=queue) == first  # still in hand
    submit(first)
    opened = assign_next(reviewer=person, queue=queue)
    assert opened == ahead and opened.opened_at is not None


def test_the_time_of_a_review_begins_when_the_item_is_seen() -> None:
    make_item(priority=2.0), make_item(priority=1.0)
    person, queue = make_user(), default_queue()
    first = assign_next(reviewer=person, queue=queue)
    ahead = lease_ahead(reviewer=person, queue=queue)
    assert first is not None and ahead is not None
    Assignment.objects.filter(pk=ahead.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    submit(first)
    opened = assign_next(reviewer=person, queue=queue)
    assert opened is not None
    submit(opened)
    assert opened.review.seconds < 60


def test_a_share_of_leases_is_blind_and_always_the_same_ones() -> None:
    queue, person = default_queue(), make_user()
    queue.blind_share = 0.3
    items = [make_item() for _ in range(200)]
    modes = [drawn_mode(item, queue, person) for item in items]
    assert modes == [drawn_mode(item, queue, person) for item in items]
    assert 0.2 < modes.count(ReviewMode.BLIND) / len(modes) < 0.4


def test_the_second_review_hides_the_guard_where_the_queue_says_so() -> None:
    queue = default_queue()
    queue.reviews_per_item, queue.second_reviews_blind = 2, True
    queue.save()
    make_item(free_slots=2)
    first = assign_next(reviewer=make_user(), queue=queue)
    assert first is not None and first.review_mode == ReviewMode.OPEN
    submit(first)
    second = assign_next(reviewer=make_user(), queue=queue)
    assert second is not None and second.review_mode == ReviewMode.BLIND


def test_the_first_verdict_before_the_reveal_is_the_one_that_is_kept() -> None:
    queue = default_queue()
    queue.mode = ReviewMode.DECIDE_FIRST
    queue.save()
    make_item()
    lease = assign_next(reviewer=make_user(), queue=queue)
    assert lease is not None
    store_first_verdict(reviewer=lease.reviewer, token=lease.token, prompt_label="unharmful", response_label=None)
    store_first_verdict(reviewer=lease.reviewer, token=lease.token, prompt_label="harmful", response_label=None)
    submit(lease)
    assert (lease.review.first_prompt_label, lease.review.prompt_label) == ("unharmful", "harmful")


def test_nothing_is_revealed_after_the_lease_ran_out() -> None:
    make_item()
    lease = assign_next(reviewer=make_user(), queue=default_queue())
    assert lease is not None
    Assignment.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(LeaseExpired):
        store_first_verdict(reviewer=lease.reviewer, token=lease.token, prompt_label="harmful", response_label=None)


def test_gold_of_a_new_round_supersedes_the_old_even_if_a_snapshot_used_it_and_undo_brings_it_back() -> None:
    item, queue = make_item(), default_queue()
    first = assign_next(reviewer=make_user(), queue=queue)
    assert first is not None
    submit(first)
    GoldLabel.objects.update(used_at=timezone.now())
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.READY, free_slots=1, round=2)
    # another round: the same person may look again
    again = assign_next(reviewer=first.reviewer, queue=queue)
    assert again is not None and again.round == 2
    submit(again, FLIP)
    assert GoldLabel.objects.standing().get().prompt_label == "unharmful"
    assert GoldLabel.objects.count() == 2
    undo_last(reviewer=first.reviewer)
    assert GoldLabel.objects.standing().get().prompt_label == "harmful"
    assert Assignment.objects.filter(state=AssignmentState.UNDONE).count() == 1
