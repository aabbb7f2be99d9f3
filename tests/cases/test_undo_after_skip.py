"""Undo takes back what a person did last, be it a decision, a skip or an escalation, and nothing older."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from annotation.errors import LeftItemGone, NothingToUndo, SettledByLead
from annotation.models import Assignment, Draft, Event, Item, Review, ReviewQueue, User
from annotation.queues.access import QueueNotYours
from annotation.review.assign import assign_escalated, assign_next
from annotation.review.decision import Decision
from annotation.review.flags import is_flagged, toggle_flag
from annotation.review.submit import escalate, skip, submit_review
from annotation.review.undo import undo_last
from annotation.status import ApiScope, AssignmentState, EventKind, ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.annotation.conftest import KeyedClient, broker, with_key
from tests.factories import default_queue, for_members_only, make_item, make_user

assert broker and with_key
pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL)


def held(reviewer: User) -> Assignment:
    assignment = assign_next(reviewer=reviewer, queue=default_queue())
    assert assignment is not None
    return assignment


def decide(reviewer: User) -> Review:
    return submit_review(
        reviewer=reviewer, token=held(reviewer).token, idempotency_key=uuid.uuid4().hex, decision=ACCEPT
    )


def skip_next(reviewer: User) -> Item:
    assignment = held(reviewer)
    skip(reviewer=reviewer, token=assignment.token)
    return assignment.item


def standing() -> int:
    return Review.objects.filter(retraction__isnull=True).count()


def three_items() -> list[Item]:
    return [make_item(priority=float(-number)) for number in range(3)]


def test_undo_after_a_skip_brings_the_skipped_item_back_and_leaves_the_decision_before_it() -> None:
    first, second, _ = three_items()
    reviewer = make_user()
    decide(reviewer)
    skip_next(reviewer)
    assert undo_last(reviewer=reviewer).item_id == second.pk
    assert held(reviewer).item_id == second.pk
    assert standing() == 1 and Review.objects.get().item_id == first.pk


def test_several_skips_come_back_one_by_one_newest_first() -> None:
    items, reviewer = three_items(), make_user()
    for _ in items:
        skip_next(reviewer)
    assert [undo_last(reviewer=reviewer).item_id for _ in items] == [item.pk for item in reversed(items)]
    with pytest.raises(NothingToUndo):
        undo_last(reviewer=reviewer)
    assert [item.free_slots for item in Item.objects.all()] == [0, 0, 0]


def test_a_skip_then_a_decision_are_undone_in_the_opposite_order() -> None:
    first, second, _ = three_items()
    reviewer = make_user()
    skip_next(reviewer)
    decide(reviewer)
    assert undo_last(reviewer=reviewer).item_id == second.pk
    assert standing() == 0
    assert undo_last(reviewer=reviewer).item_id == first.pk
    assert held(reviewer).item_id == first.pk


def test_an_undone_item_can_be_skipped_and_undone_again() -> None:
    make_item()
    reviewer = make_user()
    for _ in range(3):
        skip_next(reviewer)
        undo_last(reviewer=reviewer)
    assert Event.objects.filter(kind=EventKind.TAKEN_BACK, detail__was="skipped").count() == 3


def test_a_flagged_and_skipped_item_comes_back_flagged() -> None:
    item, reviewer = make_item(), make_user()
    toggle_flag(user=reviewer, item=item)
    skip_next(reviewer)
    assert undo_last(reviewer=reviewer).item_id == item.pk
    assert is_flagged(reviewer, item)


def test_an_undone_escalation_waits_for_the_person_again_and_not_for_a_lead() -> None:
    make_item(priority=9.0)
    item, reviewer = make_item(), make_user()
    decide(reviewer)
    escalate(reviewer=reviewer, token=held(reviewer).token, reason="Needs a lead")
    assert undo_last(reviewer=reviewer).item_id == item.pk
    item.refresh_from_db()
    assert (item.status, item.free_slots, standing()) == (ItemStatus.READY, 0, 1)
    assert assign_escalated(lead=make_user(Role.LEAD)) is None
    decide(reviewer)
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED


def test_an_undone_escalation_leaves_somebody_elses_with_the_leads() -> None:
    item = make_item(queue=default_queue(reviews_per_item=2))
    first, second = make_user(), make_user()
    mine, theirs = held(first), held(second)
    escalate(reviewer=first, token=mine.token, reason="Unsure")
    escalate(reviewer=second, token=theirs.token, reason="Unsure too")
    undo_last(reviewer=first)
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED


def test_an_item_that_somebody_else_has_meanwhile_stays_there_and_nothing_else_is_undone() -> None:
    three_items()
    reviewer, other = make_user(), make_user()
    decide(reviewer)
    skipped = skip_next(reviewer)
    assert held(other).item_id == skipped.pk
    for _ in range(2):
        with pytest.raises(LeftItemGone):
            undo_last(reviewer=reviewer)
    assert standing() == 1
    assert not Assignment.objects.filter(state=AssignmentState.UNDONE).exists()
    assert not Event.objects.filter(kind=EventKind.TAKEN_BACK).exists()


def test_an_escalation_that_a_lead_has_taken_stays_with_the_lead() -> None:
    item = make_item(queue=default_queue(reviews_per_item=2))
    reviewer, lead = make_user(), make_user(Role.LEAD)
    escalate(reviewer=reviewer, token=held(reviewer).token, reason="Needs a lead")
    settling = assign_escalated(lead=lead)
    assert settling is not None and settling.item_id == item.pk
    with pytest.raises(LeftItemGone):
        undo_last(reviewer=reviewer)
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED


def test_a_skipped_item_that_was_decided_or_moved_to_a_closed_group_stays_there() -> None:
    first, second, _ = three_items()
    reviewer, other = make_user(), make_user()
    skip_next(reviewer)
    decide(other)
    with pytest.raises(LeftItemGone):
        undo_last(reviewer=reviewer)
    skip_next(reviewer)
    elsewhere = ReviewQueue.objects.create(slug="closed", name="Closed")
    for_members_only(elsewhere)
    Item.objects.filter(pk=second.pk).update(queue=elsewhere)
    with pytest.raises(QueueNotYours):
        undo_last(reviewer=reviewer)
    assert first.pk != second.pk and standing() == 1


def test_a_decision_that_a_lead_settled_after_it_is_not_skipped_over() -> None:
    make_item(priority=9.0)
    make_item(queue=default_queue(reviews_per_item=2))
    first = make_user()
    decide(first)
    decide(first)
    item = Review.objects.order_by("-pk")[0].item
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.ESCALATED, free_slots=1)
    lead = make_user(Role.LEAD)
    settling = assign_escalated(lead=lead)
    assert settling is not None
    submit_review(reviewer=lead, token=settling.token, idempotency_key=uuid.uuid4().hex, decision=ACCEPT)
    with pytest.raises(SettledByLead):
        undo_last(reviewer=first)
    assert standing() == 3


def test_the_page_brings_back_the_skipped_item_with_what_was_begun(client: Client) -> None:
    reviewer = make_user()
    client.force_login(reviewer)
    three_items()
    decide(reviewer)
    lease = held(reviewer)
    form = {"idempotency_key": "0123456789abcdef", "note": "Half a thought"}
    client.post(reverse("skip", args=[lease.token]), form, headers=HTMX)
    page = client.post(reverse("undo_last"), headers=HTMX).text
    assert lease.item.external_id in page and "Half a thought" in page
    assert standing() == 1


def test_a_skip_without_any_work_stores_no_draft(client: Client) -> None:
    reviewer = make_user()
    client.force_login(reviewer)
    make_item()
    client.post(reverse("skip", args=[held(reviewer).token]), {"idempotency_key": "0123456789abcdef"}, headers=HTMX)
    assert not Draft.objects.exists()


def test_the_page_says_politely_that_the_item_has_gone(client: Client) -> None:
    reviewer = make_user()
    client.force_login(reviewer)
    three_items()
    skip_next(reviewer)
    held(make_user())
    answer = client.post(reverse("undo_last"), headers=HTMX)
    assert answer.status_code == 409 and "gone to somebody else meanwhile" in answer.text


def test_programs_undo_a_skip_by_its_token_or_as_the_last_act(with_key: KeyedClient) -> None:
    owner = make_user()
    api = with_key(ApiScope.REVIEWS_WRITE, owner=owner)
    make_item()
    for address in ("/api/v1/assignments/{}/undo", "/api/v1/assignments/undo"):
        token = api.post("/api/v1/queues/default/next").json()["token"]
        assert api.post(f"/api/v1/assignments/{token}/skip").status_code == 200
        back = api.post(address.format(token))
        assert back.status_code == 200 and back.json()["token"] != token
    again = api.post(f"/api/v1/assignments/{token}/undo")
    assert (again.status_code, again.json()["type"].rsplit(":", 1)[-1]) == (409, "nothing_to_undo")
    assert api.post(f"/api/v1/assignments/{uuid.uuid4()}/undo").status_code == 404
