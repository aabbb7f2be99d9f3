"""Nobody reads an item's verdict, or sees that it has one, while they may still be given the item."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Event, Fingerprint, HiddenGold, Item, User
from annotation.review.appeals import open_appeal
from annotation.review.assign import assign_next
from annotation.review.hidden_gold import make_hidden_gold
from annotation.status import EventKind, ReviewMode, Role
from tests.annotation.pages.test_home import review_of
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db

REASON = "the appellant says it was a joke"


def predicted(item: Item) -> Item:
    """With the event by which the item's page shows the guard's judgement."""
    Event.objects.create(kind=EventKind.PREDICTED, item=item, detail={"version": "starter"})
    return item


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def listed(user: User, **asked: str) -> dict[int, str]:
    """The ids of the items in the list, with their status as shown."""
    page = signed_in(user).get(reverse("items"), asked)
    return {item.pk: item.status for item in page.context["page"].items}


@pytest.fixture
def first() -> User:
    return make_user()


@pytest.fixture
def gold(first: User) -> Item:
    """Hidden gold that `first` has decided, and nobody else."""
    item = make_item()
    review_of(item, first)
    Event.objects.create(kind=EventKind.ESCALATED, item=item, actor=first, detail={"reason": REASON})
    item.refresh_from_db()
    make_hidden_gold(item=item, by=make_user(Role.LEAD))
    return item


@pytest.fixture
def waiting(gold: Item) -> Item:
    item = make_item()
    Fingerprint.objects.bulk_create(Fingerprint(item=one, kind="text", band=0, value=7) for one in (gold, item))
    Item.objects.filter(pk=item.pk).update(prompt=gold.prompt)
    return item


def test_hidden_gold_looks_like_a_waiting_item_to_everybody_who_has_not_judged_it(
    gold: Item, waiting: Item, first: User
) -> None:
    stranger, lead = make_user(), make_user(Role.LEAD)
    assert listed(stranger) == {gold.pk: "ready", waiting.pk: "ready"}
    assert listed(first)[gold.pk] == listed(lead)[gold.pk] == "reviewed"
    assert set(listed(stranger, status="ready")) == {gold.pk, waiting.pk} and not listed(stranger, status="reviewed")
    assert set(listed(first, status="reviewed")) == set(listed(lead, status="reviewed")) == {gold.pk}
    assert set(listed(first, status="ready")) == {waiting.pk}
    page = signed_in(stranger).get(reverse("item", args=[gold.pk]))
    assert [moment.event.kind for moment in page.context["life"]] == []
    for word in ("Reviewed", "Gold label settled", "corrected", REASON, first.username):
        assert word not in page.text
    assert first.username in signed_in(first).get(reverse("item", args=[gold.pk])).text
    similar = signed_in(stranger).get(reverse("similar", args=[waiting.pk])).text
    assert gold.external_id in similar and "Reviewed" not in similar
    found = signed_in(stranger).get(reverse("palette"), {"q": gold.external_id}).json()["found"]
    assert [row["sub"] for row in found] == [f"Item {gold.pk}, Ready for review"]


def test_hidden_gold_stays_disguised_while_it_is_held_even_if_it_is_retired_meanwhile(gold: Item) -> None:
    queue, stranger = default_queue(known_share=1.0), make_user()
    lease = assign_next(reviewer=stranger, queue=queue)
    assert lease is not None and lease.hidden_gold is not None
    HiddenGold.objects.update(active=False)
    assert listed(stranger)[gold.pk] == "ready"
    page = signed_in(stranger).get(reverse("item", args=[gold.pk]))
    assert "Gold label settled" not in page.text and "Reviewed" not in page.text


def test_only_leads_and_the_person_narrow_by_whose_reviews_there_are(gold: Item, waiting: Item, first: User) -> None:
    stranger = make_user()
    assert set(listed(stranger, reviewer=first.username)) == {gold.pk, waiting.pk}, "the filter is not applied"
    assert set(listed(first, reviewer=first.username)) == {gold.pk}
    assert set(listed(make_user(Role.LEAD), reviewer=first.username)) == {gold.pk}


def test_an_open_appeal_shows_the_settled_verdict_and_its_reason_to_nobody_who_may_decide_it(first: User) -> None:
    item = make_item()
    review_of(item, first)
    item.refresh_from_db()
    open_appeal(item=item, reason=REASON, opened_by=make_user(Role.LEAD))
    page = signed_in(make_user()).get(reverse("item", args=[item.pk])).text
    assert REASON not in page and "corrected" not in page and "Hidden until you have reviewed it." in page
    assert "Hidden until you have reviewed it." not in signed_in(first).get(reverse("item", args=[item.pk])).text


def test_a_new_round_hides_the_verdict_of_the_round_before_from_its_own_reviewer(first: User) -> None:
    item, second = make_item(queue=default_queue(reviews_per_item=2)), make_user()
    review_of(item, first)
    review_of(item, second)
    url = reverse("item", args=[item.pk])
    hidden = "Hidden until you have reviewed it."
    assert hidden not in signed_in(first).get(url).text
    Item.objects.filter(pk=item.pk).update(status="ready", round=2, free_slots=2)
    assert hidden in signed_in(first).get(url).text


@pytest.mark.parametrize("of_queue", [{"blind_share": 0.5}, {"second_reviews_blind": True, "reviews_per_item": 2}])
def test_an_open_queue_that_is_blind_at_times_shows_no_judgement_before_ones_own_review(
    of_queue: dict[str, float], first: User
) -> None:
    item = predicted(make_item(queue=default_queue(**of_queue)))
    url, step = reverse("item", args=[item.pk]), "The thing is dangerous"
    assert step not in signed_in(first).get(url).text
    assert item.pk in signed_in(first).get(reverse("items")).context["hide_judgement"]
    review_of(item, first)
    assert step in signed_in(first).get(url).text
    assert step in signed_in(make_user(Role.LEAD)).get(url).text


def test_a_lease_that_is_blind_stays_blind_on_the_items_page_after_its_queue_opens(first: User) -> None:
    item = predicted(make_item(queue=default_queue(mode=ReviewMode.BLIND)))
    assert assign_next(reviewer=first, queue=default_queue()) is not None
    default_queue(mode=ReviewMode.OPEN)
    assert "The thing is dangerous" not in signed_in(first).get(reverse("item", args=[item.pk])).text
    assert "The thing is dangerous" in signed_in(make_user()).get(reverse("item", args=[item.pk])).text
