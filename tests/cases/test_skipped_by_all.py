"""Items that everybody who may review them has skipped are counted for leads, who take or escalate them."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.items.skipped import SkippedItemGone, escalate_items, skipped_by_all, take_skipped
from annotation.models import Item
from annotation.review.assign import assign_escalated
from annotation.review.undo import undo_last
from annotation.status import ItemStatus, Role
from tests.cases.test_undo_after_skip import decide, held, skip_next
from tests.factories import default_queue, for_members_only, make_item, make_user

pytestmark = pytest.mark.django_db


def test_an_item_that_every_reviewer_skipped_is_shown_to_leads_as_such(client: Client) -> None:
    item, lead = make_item(), make_user(Role.LEAD)
    make_item(priority=-9.0)
    people = [make_user(), make_user()]
    skip_next(people[0])
    assert skipped_by_all() == []
    skip_next(people[1])
    assert skipped_by_all() == [(item.pk, item.queue_id)]
    client.force_login(lead)
    assert "1 skipped by everybody" in " ".join(client.get(reverse("home")).text.split())
    assert "1 skipped by everybody" in " ".join(client.get(reverse("queues")).text.split())
    listed = client.get(reverse("items"), {"skipped": "all"}).text
    assert item.external_id in listed and "take it" in listed
    client.force_login(people[0])
    assert "skipped by everybody" not in client.get(reverse("home")).text


@pytest.mark.parametrize("change", ["new person", "undone", "held", "decided"])
def test_an_item_is_no_longer_skipped_by_all_once_somebody_is_left_or_has_it(change: str) -> None:
    make_item(queue=default_queue(reviews_per_item=2))
    people = [make_user(), make_user()]
    skip_next(people[0])
    if change == "held":
        held(people[1])
    elif change == "decided":
        decide(people[1])
    else:
        skip_next(people[1])
    if change == "new person":
        make_user()
    elif change == "undone":
        undo_last(reviewer=people[1])
    # one has decided, the other skipped it: for the second review nobody is left
    assert (skipped_by_all() != []) == (change == "decided")


def test_only_those_who_may_work_on_the_queue_count() -> None:
    queue, member = default_queue(), make_user()
    for_members_only(queue, member, make_user(is_active=False), make_user(opted_out=["S1"]))
    make_user()
    item = make_item(queue=queue)
    skip_next(member)
    assert skipped_by_all() == [(item.pk, queue.pk)]


def test_a_lead_who_works_alone_takes_what_they_skipped(client: Client) -> None:
    item, lead = make_item(), make_user(Role.LEAD)
    skip_next(lead)
    assert skipped_by_all() == [(item.pk, item.queue_id)]
    client.force_login(lead)
    assert "Review it yourself" in client.get(reverse("item", args=[item.pk])).text
    assert item.external_id in client.post(reverse("item_take", args=[item.pk]), follow=True).text
    assert held(lead).item_id == item.pk
    assert skipped_by_all() == []


def test_two_leads_who_take_the_same_item_do_not_both_get_it() -> None:
    item = make_item()
    skip_next(make_user())
    take_skipped(lead=make_user(Role.LEAD), item_id=item.pk)
    with pytest.raises(SkippedItemGone):
        take_skipped(lead=make_user(Role.LEAD), item_id=item.pk)


def test_what_is_escalated_from_the_list_can_be_settled_by_a_lead_who_skipped_it(client: Client) -> None:
    lead, item = make_user(Role.LEAD), make_item()
    skip_next(lead)
    client.force_login(lead)
    client.post(reverse("items_escalate"), {"item": [item.pk]}, follow=True)
    item.refresh_from_db()
    assert item.status == ItemStatus.ESCALATED
    assert "everybody has skipped it" in client.get(reverse("home")).text
    settling = assign_escalated(lead=lead)
    assert settling is not None and settling.item_id == item.pk


def test_an_item_that_somebody_holds_is_not_escalated_from_the_list() -> None:
    item = make_item()
    held(make_user())
    assert escalate_items(item_ids=[item.pk], by=make_user(Role.LEAD)) == 0


def test_reviewers_may_neither_take_nor_escalate_from_the_list(client: Client) -> None:
    item = make_item()
    client.force_login(make_user())
    assert client.post(reverse("item_take", args=[item.pk])).status_code == 403
    assert client.post(reverse("items_escalate"), {"item": [item.pk]}).status_code == 403


def test_the_count_takes_the_same_number_of_queries_for_any_number_of_items_and_people() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            skipped_by_all()
        return len(seen)

    make_item()
    skip_next(make_user())
    before = queries()
    for _ in range(4):
        make_item()
    for _ in range(3):
        person = make_user()
        for _ in range(4):
            skip_next(person)
    assert queries() == before


def test_skips_from_before_the_upgrade_are_counted() -> None:
    item = make_item()
    skip_next(make_user())
    Item.objects.update(skipped_at=None)
    import_module("annotation.migrations.0026_items_skipped_before").fill(apps, None)
    item.refresh_from_db()
    assert item.skipped_at is not None and item.skipped_at > timezone.now() - timedelta(minutes=1)
