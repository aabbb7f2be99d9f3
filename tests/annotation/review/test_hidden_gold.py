"""Hidden gold among the items, and care for the people who review them."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Assignment, Exposure, GoldLabel, HiddenGold, Item, Review, User
from annotation.review.assign import assign_next, take_again
from annotation.review.decision import Decision
from annotation.review.exposure import record_exposure, shift_of, take_break
from annotation.review.hidden_gold import HiddenGoldAlready, NotSettled, is_right, make_hidden_gold, retire_hidden_gold
from annotation.review.leases import release_expired
from annotation.review.page_values import review_page
from annotation.review.submit import escalate, skip, submit_review
from annotation.review.undo import undo_last
from annotation.status import EventKind, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL)
FLIP = Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL)


def held(person: User) -> Assignment:
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    return lease


def submit(lease: Assignment, decision: Decision) -> Review:
    return submit_review(
        reviewer=lease.reviewer, token=lease.token, idempotency_key=uuid.uuid4().hex, decision=decision
    )


@pytest.fixture
def hidden_gold() -> HiddenGold:
    """A hidden gold item, harmful; every lease is one while the queue's share is 1."""
    item = make_item()
    submit(held(make_user()), ACCEPT)
    default_queue(known_share=1.0)
    return make_hidden_gold(item=Item.objects.get(pk=item.pk), by=make_user(Role.LEAD))


def test_hidden_gold_scores_a_reviewer_and_settles_nothing(hidden_gold: HiddenGold) -> None:
    person, gold = make_user(), GoldLabel.objects.standing().get()
    lease = held(person)
    assert lease.item == hidden_gold.item
    review = submit(lease, FLIP)
    assert review.hidden_gold == hidden_gold
    assert not is_right(hidden_gold, review.prompt_label, review.response_label)
    assert GoldLabel.objects.standing().get() == gold
    item = Item.objects.get(pk=hidden_gold.item_id)
    assert (item.status, item.free_slots) == (ItemStatus.REVIEWED, 0)


def test_hidden_gold_comes_once_to_a_person_and_never_to_one_who_judged_it(hidden_gold: HiddenGold) -> None:
    person, settled_by = make_user(), Review.objects.get().reviewer
    submit(held(person), ACCEPT)
    assert assign_next(reviewer=person, queue=default_queue()) is None
    assert assign_next(reviewer=settled_by, queue=default_queue()) is None


def test_hidden_gold_cannot_be_recognised_by_its_history(hidden_gold: HiddenGold) -> None:
    page = review_page(held(make_user()))
    assert {event.kind for event in page.history} <= {EventKind.INGESTED, EventKind.PREDICTED}


def test_hidden_gold_that_is_skipped_escalated_or_let_go_changes_no_item(hidden_gold: HiddenGold) -> None:
    before = Item.objects.filter(pk=hidden_gold.item_id).values().get()
    first, second, third = held(make_user()), held(make_user()), held(make_user())
    skip(reviewer=first.reviewer, token=first.token)
    escalate(reviewer=second.reviewer, token=second.token, reason="odd")
    Assignment.objects.filter(pk=third.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert release_expired() == 1
    assert take_again(reviewer=third.reviewer, token=third.token).hidden_gold == hidden_gold
    assert Item.objects.filter(pk=hidden_gold.item_id).values().get() == before


def test_an_undone_review_of_hidden_gold_brings_it_back_and_leaves_the_gold(hidden_gold: HiddenGold) -> None:
    person = make_user()
    submit(held(person), FLIP)
    assert undo_last(reviewer=person).hidden_gold == hidden_gold
    assert GoldLabel.objects.standing().count() == 1
    assert Item.objects.get(pk=hidden_gold.item_id).status == ItemStatus.REVIEWED


def test_only_settled_items_become_hidden_gold_and_once(hidden_gold: HiddenGold) -> None:
    lead = make_user(Role.LEAD)
    with pytest.raises(NotSettled):
        make_hidden_gold(item=make_item(), by=lead)
    with pytest.raises(HiddenGoldAlready):
        make_hidden_gold(item=hidden_gold.item, by=lead)
    retire_hidden_gold(hidden_gold=hidden_gold)
    assert make_hidden_gold(item=hidden_gold.item, by=lead, note="clear").active


def test_exposure_is_added_up_a_day_and_ends_in_cool_down() -> None:
    person = make_user(exposure_limit_s=100)
    severe, mild = make_item(severity=3, priority=9.0), make_item(severity=0, priority=1.0)
    record_exposure(reviewer=person, item=severe, seconds=60, severity=3)
    record_exposure(reviewer=person, item=severe, seconds=30, severity=1)
    shift = shift_of(person)
    assert (shift.unblurred_s, shift.severe, shift.cools_down) == (90, 1, False)
    assert Exposure.objects.get().severity == 3
    record_exposure(reviewer=person, item=severe, seconds=10_000, severity=3)  # a clock that slept
    assert shift_of(person).unblurred_s == 210
    assert shift_of(person).cools_down
    assert held(person).item == mild
    assert shift_of(person, now=timezone.now() + timedelta(days=1)).unblurred_s == 0


def test_nobody_is_given_categories_that_they_opted_out_of() -> None:
    person = make_user(opted_out=["S4"])
    make_item(priority=9.0, prediction={"categories": ["S1", "S4"]})
    other = make_item()
    assert held(person).item == other


def test_a_break_is_due_after_a_stretch_of_work_and_ends_it() -> None:
    person, now = make_user(), timezone.now()
    for minutes in range(0, 64, 8):
        make_item()
        review = submit(held(person), ACCEPT)
        Review.objects.filter(pk=review.pk).update(created_at=now - timedelta(minutes=56 - minutes))
    assert shift_of(person, now=now).stretch_minutes == 56
    assert shift_of(person, now=now).break_due
    take_break(reviewer=person)
    assert not shift_of(person).break_due
