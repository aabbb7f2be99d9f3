"""Exposure, breaks, presence, the fast-decision warning, near-copies and bulk decisions on the pages."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from annotation.models import Assignment, BulkDecision, Exposure, GoldLabel, Item, Review, User
from annotation.predictions.fingerprints import store_fingerprints
from annotation.review.assign import assign_next
from annotation.status import Role
from tests.factories import default_policy, default_queue, make_item, make_user
from tests.markup import folded

pytestmark = pytest.mark.django_db
LABELS = {"prompt_label": "unharmful", "idempotency_key": "a-key-of-this-test"}


def signed_in(role: Role = Role.REVIEWER) -> tuple[Client, User]:
    client, user = Client(), make_user(role)
    client.force_login(user)
    return client, user


def held(user: User) -> Assignment:
    lease = assign_next(reviewer=user, queue=default_queue())
    assert lease is not None
    return lease


def test_seconds_are_metered_with_heartbeats_and_decisions() -> None:
    client, user = signed_in()
    item = make_item(severity=2)
    lease = held(user)
    said = client.post(f"/assignments/{lease.token}/heartbeat/", {"unblurred": "12.5"}).json()
    assert said["here"] == [] and said["break_due"] is False
    client.post(f"/assignments/{lease.token}/submit/", {**LABELS, "unblurred": "7.5", "severity": "3"})
    row = Exposure.objects.get(reviewer=user, item=item)
    assert (row.seconds, row.severity) == (20.0, 3)


@pytest.mark.parametrize("sent", ["", "nan", "inf", "-5", "many"])
def test_a_report_that_is_no_time_is_left_out(sent: str) -> None:
    client, user = signed_in()
    make_item()
    assert client.post(f"/assignments/{held(user).token}/heartbeat/", {"unblurred": sent}).status_code == 200
    assert not Exposure.objects.exists()


def test_people_on_the_same_item_see_each_other() -> None:
    default_queue(reviews_per_item=2)
    make_item(free_slots=2)
    (one, ann), (two, bob) = signed_in(), signed_in()
    first, second = held(ann), held(bob)
    one.post(f"/assignments/{first.token}/heartbeat/")
    assert two.post(f"/assignments/{second.token}/heartbeat/").json()["here"] == [ann.username]
    assert ann.username in two.get("/review/default/").text


def test_a_decision_that_was_too_fast_is_to_be_confirmed_once_and_kept() -> None:
    default_queue(fewest_seconds=30)
    make_item()
    client, user = signed_in()
    lease = held(user)
    answer = client.post(f"/assignments/{lease.token}/submit/", LABELS, headers={"HX-Request": "true"})
    assert answer.status_code == 422 and "at least 30 seconds" in answer.text
    assert not Review.objects.exists()
    assert client.post(f"/assignments/{lease.token}/submit/", {**LABELS, "confirm_fast": "yes"}).status_code == 302
    make_item()
    slow = held(user)
    Assignment.objects.filter(pk=slow.pk).update(opened_at=timezone.now() - timedelta(minutes=1))
    client.post(f"/assignments/{slow.token}/submit/", {**LABELS, "idempotency_key": uuid.uuid4().hex})
    assert Review.objects.count() == 2


def test_a_person_chooses_what_they_are_shown_and_not_given() -> None:
    default_policy()
    client, user = signed_in()
    assert client.get("/account/").status_code == 200
    client.post("/account/", {"grey": "on", "opted_out": ["S4", "S99"]})
    user.refresh_from_db()
    assert (user.blur_media, user.grey_media, user.mute_media, user.opted_out) == (False, True, False, ["S4"])
    client.post("/account/break/")
    assert "Enjoy your break" in client.get("/").text


def test_reason_errors_and_links_survive_a_draft_and_a_submit() -> None:
    make_item(prompt="A thing")
    client, user = signed_in()
    lease = held(user)
    work = {
        **LABELS,
        "reason": "A quote.",
        "error_kinds": ["over_refusal"],
        "step-1-links": '[{"kind": "span", "field": "prompt", "start": 2, "end": 7}]',
        "step-2-links": "not json",
    }
    client.post(f"/assignments/{lease.token}/draft/", work)
    page = folded(client.get("/review/default/").text)
    assert 'value="A quote."' in page and 'value="over_refusal" checked' in page
    client.post(f"/assignments/{lease.token}/submit/", work)
    review = Review.objects.get()
    assert (review.reason, review.error_kinds) == ("A quote.", ["over_refusal"])
    assert review.steps[0]["links"] == [{"kind": "span", "field": "prompt", "start": 2, "end": 7}]


def test_near_copies_are_shown_beside_an_item_and_decided_on_by_a_lead_only() -> None:
    spam = "Win a free phone today by sending your card number to this address within {} days please"
    items = [make_item(prompt=spam.format(number)) for number in range(3)]
    store_fingerprints([item.prediction for item in items if item.prediction is not None])
    reviewer, _ = signed_in()
    lead, _ = signed_in(Role.LEAD)
    assert items[1].external_id in reviewer.get(f"/items/{items[0].pk}/similar/").text
    for path in (f"/items/{items[0].pk}/bulk/", "/bulk/1/"):
        assert reviewer.get(path).status_code == 403
    assert reviewer.post("/bulk/1/undo/").status_code == 403
    assert "3 items" in lead.get(f"/items/{items[0].pk}/bulk/").text
    assert lead.post(f"/items/{items[0].pk}/bulk/", {"item": [items[0].pk]}).status_code == 422
    answer = lead.post(
        f"/items/{items[0].pk}/bulk/", {"item": [item.pk for item in items], "prompt_label": "unharmful"}, follow=True
    )
    assert "3 items are settled." in answer.text
    assert GoldLabel.objects.standing().count() == 3
    lead.post(f"/bulk/{BulkDecision.objects.get().pk}/undo/")
    assert not GoldLabel.objects.standing().exists() and Item.objects.filter(status="ready").count() == 3
