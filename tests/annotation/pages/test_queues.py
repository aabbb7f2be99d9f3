"""Leads set up queues, routing rules and groups."""

import pytest
from django.test import Client

from annotation.models import Item, ReviewerGroup, ReviewQueue, RoutingRule, User
from annotation.queues.access import ReviewsBegun, queues_of, save_queue
from annotation.review.assign import assign_next
from annotation.status import Role
from tests.factories import default_queue, make_item, make_user
from tests.markup import folded

pytestmark = pytest.mark.django_db
SETTINGS = {
    "name": "Grave",
    "slug": "grave",
    "mode": "blind",
    "order": "severity",
    "reviews_per_item": "2",
    "lease_minutes": "5",
    "fewest_seconds": "3",
    "reopen_after_reports": "0",
    "open": "on",
    "blind_share": "0",
    "known_share": "0.1",
    "if-categories": ["S9"],
    "if-score_from": "0.5",
}


@pytest.fixture
def lead() -> Client:
    client = Client()
    client.force_login(make_user(Role.LEAD))
    return client


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/queues/"),
        ("get", "/queues/new/"),
        ("post", "/queues/default/"),
        ("get", "/routing/new/"),
        ("post", "/routing/apply/"),
        ("post", "/routing/1/act/"),
        ("post", "/groups/"),
        ("post", "/groups/1/"),
    ],
)
def test_only_leads_set_up_queues(method: str, path: str) -> None:
    assert getattr(client_of(make_user()), method)(path).status_code == 403


def test_a_lead_makes_a_queue_and_changes_it(lead: Client) -> None:
    make_item()
    assert lead.post("/queues/new/", SETTINGS).status_code == 302
    queue = ReviewQueue.objects.get(slug="grave")
    assert (queue.mode, queue.reviews_per_item, queue.known_share) == ("blind", 2, 0.1)
    assert queue.filters == {"categories": ["S9"], "score_from": 0.5}
    page = lead.get("/queues/grave/").text
    assert "checked" in page and "0.5" in page
    lead.post("/queues/grave/", {**SETTINGS, "name": "Graver"})
    assert ReviewQueue.objects.get(slug="grave").name == "Graver"
    assert "Graver" in lead.get("/queues/").text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blind_share": "2"}, "from 0 to 1"),
        ({"if-score_from": "7"}, "less than or equal to 1"),
        ({"slug": "a b"}, "valid"),
        ({"name": ""}, "required"),
    ],
)
def test_a_setting_that_does_not_fit_comes_back_with_the_problem(
    lead: Client, change: dict[str, str], words: str
) -> None:
    make_item()
    answer = lead.post("/queues/new/", {**SETTINGS, **change})
    assert answer.status_code == 422 and words in answer.text
    assert not ReviewQueue.objects.filter(slug="grave").exists()


def test_a_rule_is_previewed_saved_moved_and_deleted(lead: Client) -> None:
    item, other = make_item(), ReviewQueue.objects.create(slug="other", name="Other")
    rule = {"name": "all", "queue": other.pk, "enabled": "on", "if-categories": ["S1"]}
    preview = lead.post("/routing/new/", {**rule, "act": "preview"})
    assert "caught 1 of the newest 1" in preview.text and item.external_id in preview.text
    assert not RoutingRule.objects.exists()
    lead.post("/routing/new/", {**rule, "act": "save"})
    made = RoutingRule.objects.get()
    assert made.conditions == {"categories": ["S1"]}
    assert "categories: S1" in folded(lead.get("/queues/").text)
    lead.post("/routing/apply/")
    assert ReviewQueue.objects.get(slug="default").rerouted_to == 0
    lead.post(f"/routing/{made.pk}/act/", {"act": "down"})
    lead.post(f"/routing/{made.pk}/act/", {"act": "delete"})
    assert not RoutingRule.objects.exists()


def test_a_queue_of_a_group_is_for_its_members_and_leads(lead: Client) -> None:
    member, stranger, queue = make_user(), make_user(), default_queue()
    make_item()
    lead.post("/groups/", {"name": "night"})
    group = ReviewerGroup.objects.get()
    lead.post(f"/groups/{group.pk}/", {"members": f"{member.username}, nobody"})
    assert not group.members.exists()
    lead.post(f"/groups/{group.pk}/", {"members": member.username})
    queue.groups.add(group)
    assert list(queues_of(stranger)) == [queue], "it is still said to be for everybody"
    default_queue(everybody=False)
    assert list(queues_of(member)) == [queue] and list(queues_of(stranger)) == []
    assert client_of(stranger).get("/review/default/").status_code == 404
    assert client_of(member).get("/review/default/").status_code == 200


def test_more_reviews_an_item_can_be_asked_for_at_any_time_and_fewer_before_any_has_begun() -> None:
    item, queue = make_item(), default_queue()
    queue.reviews_per_item = 3
    save_queue(queue=queue)
    assert Item.objects.get(pk=item.pk).free_slots == 3
    assign_next(reviewer=make_user(), queue=queue)
    queue.reviews_per_item = 1
    with pytest.raises(ReviewsBegun):
        save_queue(queue=queue)
    assert Item.objects.get(pk=item.pk).free_slots == 2
