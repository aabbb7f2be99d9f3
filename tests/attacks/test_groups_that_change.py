"""Who leaves a group, or whose group is deleted, has no part in its queues any more."""

import uuid
from importlib import import_module

import pytest
from django.apps import apps
from django.urls import reverse

from annotation.models import (
    Assignment,
    Review,
    ReviewQueue,
)
from annotation.queues.access import QueueNotYours
from annotation.review.assign import assign_next
from annotation.review.undo import undo_review
from annotation.status import AssignmentState
from tests.attacks.circle import Circle, signed_in
from tests.factories import default_queue, for_members_only

pytestmark = pytest.mark.django_db


@pytest.fixture
def circle() -> Circle:
    return Circle()


def test_a_person_who_left_keeps_what_they_hold_and_is_given_nothing_more(circle: Circle) -> None:
    lease = assign_next(reviewer=circle.member, queue=circle.queue)
    assert lease is not None
    circle.queue.groups.clear()
    client = signed_in(circle.member)
    assert client.get(reverse("item", args=[lease.item_id])).status_code == 200
    other = circle.other if lease.item_id != circle.other.pk else circle.item
    assert client.get(reverse("item", args=[other.pk])).status_code == 403
    answer = client.post(
        reverse("submit", args=[lease.token]),
        {
            "idempotency_key": uuid.uuid4().hex,
            "prompt_label": "harmful",
            "response_label": "harmful",
            "kind": "corrected",
        },
        headers={"HX-Request": "true"},
    )
    assert Review.objects.filter(reviewer=circle.member).count() == 1, answer.text
    assert (answer.status_code, "another group" in answer.text) == (409, True)
    assert not Assignment.objects.filter(reviewer=circle.member, state=AssignmentState.ACTIVE).exists()
    assert client.get(reverse("item", args=[lease.item_id])).status_code == 403


def test_nobody_takes_a_review_back_in_a_queue_that_is_not_theirs_any_more(circle: Circle) -> None:
    with pytest.raises(QueueNotYours):
        undo_review(reviewer=circle.outsider, review_id=circle.review.pk)


def test_deleting_a_group_opens_none_of_its_queues(circle: Circle) -> None:
    group = circle.queue.groups.get()
    page = signed_in(circle.lead).post(reverse("group", args=[group.pk]), {"act": "delete"}, follow=True)
    assert "for leads only now" in page.text and "leads only" in page.text
    for user, expected in ((circle.member, 403), (circle.outsider, 403), (circle.lead, 200)):
        assert signed_in(user).get(reverse("item", args=[circle.item.pk])).status_code == expected
    assert signed_in(circle.member).get(reverse("review", args=[circle.queue.slug])).status_code == 404


def test_the_form_asks_for_everybody_or_groups(circle: Circle) -> None:
    client, url = signed_in(circle.lead), reverse("queue", args=[circle.queue.slug])
    form = client.get(url).context["form"]
    values = {name: ("" if value is None else value) for name, value in form.initial.items() if value is not False} | {
        "groups": [circle.queue.groups.get().pk]
    }
    both = client.post(url, {**values, "everybody": "on"})
    assert both.status_code == 422 and "Choose either everybody or groups." in both.text
    client.post(url, {**values, "everybody": "on", "groups": []})
    circle.queue.refresh_from_db()
    assert circle.queue.everybody and not circle.queue.groups.exists()
    assert signed_in(circle.outsider).get(reverse("item", args=[circle.item.pk])).status_code == 200
    client.post(url, {**values, "groups": []})
    assert signed_in(circle.outsider).get(reverse("item", args=[circle.item.pk])).status_code == 403
    assert default_queue().everybody, "other queues stay as they were"


def test_queues_keep_who_they_were_for_when_the_product_is_updated(circle: Circle) -> None:
    for_all, empty_group = default_queue(), ReviewQueue.objects.create(slug="empty", name="Empty")
    for_members_only(empty_group)
    ReviewQueue.objects.update(everybody=False)  # as the migration before leaves it
    import_module("annotation.migrations.0023_queues_without_groups_are_for_everybody").without_groups(apps, None)
    assert {queue.slug: queue.everybody for queue in ReviewQueue.objects.all()} == {
        for_all.slug: True,
        circle.queue.slug: False,
        "empty": False,
    }
