"""Leases: who is given which item, and for how long."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from annotation.errors import (
    AssignmentNotFound,
    ItemTaken,
    LeaseExpired,
)
from annotation.models import Assignment, Item
from annotation.review.assign import assign_next, take_again
from annotation.review.leases import extend_lease, release_expired
from annotation.review.submit import submit_review
from tests.annotation.review.test_submit import ACCEPT, held, run_out, submit
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def test_the_next_item_is_the_one_of_highest_priority() -> None:
    make_item(priority=1.0)
    urgent = make_item(priority=5.0)
    assert held(make_user()).item_id == urgent.pk


def test_asking_twice_gives_the_item_that_is_held_already() -> None:
    make_item()
    make_item()
    reviewer = make_user()
    assert held(reviewer).pk == held(reviewer).pk


def test_two_people_never_hold_an_item_that_wants_one_review() -> None:
    make_item()
    held(make_user())
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None


def test_an_item_that_wants_two_reviews_goes_to_two_people_and_no_more() -> None:
    make_item(queue=default_queue(reviews_per_item=2))
    assert held(make_user()).item_id == held(make_user()).item_id
    assert assign_next(reviewer=make_user(), queue=default_queue()) is None


def test_the_database_refuses_to_serve_an_item_beyond_its_reviews() -> None:
    item = make_item()
    with pytest.raises(IntegrityError):
        Item.objects.filter(pk=item.pk).update(free_slots=-1)


def test_a_reviewer_never_sees_an_item_twice() -> None:
    make_item(queue=default_queue(reviews_per_item=2))
    reviewer = make_user()
    submit(held(reviewer))
    assert assign_next(reviewer=reviewer, queue=default_queue()) is None


def test_an_expired_hold_gives_the_item_to_the_next_person() -> None:
    item = make_item()
    run_out(held(make_user()))
    assert held(make_user()).item_id == item.pk


def test_a_heartbeat_extends_a_hold_but_cannot_revive_one() -> None:
    make_item()
    reviewer = make_user()
    assignment = held(reviewer)
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() + timedelta(seconds=5))
    assert extend_lease(reviewer=reviewer, token=assignment.token).expires_at > timezone.now() + timedelta(minutes=9)
    run_out(assignment)
    with pytest.raises(LeaseExpired):
        extend_lease(reviewer=reviewer, token=assignment.token)


def test_an_expired_item_can_be_taken_again_unless_somebody_else_has_it() -> None:
    make_item()
    first, second = make_user(), make_user()
    assignment = held(first)
    run_out(assignment)
    assert take_again(reviewer=first, token=assignment.token).item_id == assignment.item_id
    run_out(held(first))
    held(second)
    with pytest.raises(ItemTaken):
        take_again(reviewer=first, token=assignment.token)


def test_taking_an_item_again_twice_gives_the_same_hold() -> None:
    make_item()
    reviewer = make_user()
    assignment = held(reviewer)
    run_out(assignment)
    first, second = (take_again(reviewer=reviewer, token=assignment.token) for _ in range(2))
    assert first.pk == second.pk


def test_releasing_twice_gives_a_slot_back_once() -> None:
    item = make_item()
    run_out(held(make_user()))
    assert (release_expired(), release_expired()) == (1, 0)
    item.refresh_from_db()
    assert item.free_slots == 1


def test_somebody_elses_token_opens_nothing() -> None:
    make_item()
    assignment = held(make_user())
    with pytest.raises(AssignmentNotFound):
        submit_review(reviewer=make_user(), token=assignment.token, idempotency_key="k" * 16, decision=ACCEPT)
