"""The page of an item: its life, and what of it is hidden."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import User
from annotation.status import ItemStatus, ReviewMode, Role
from tests.annotation.pages.test_home import review_of, signed_in
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(client: Client) -> User:
    user = make_user(role=Role.LEAD)
    client.force_login(user)
    return user


def test_an_item_shows_its_whole_life(client: Client, lead: User) -> None:
    item = make_item()
    review_of(item, make_user())
    page = client.get(reverse("item", args=[item.pk])).text
    for words in ("Assigned", "Reviewed", "Gold label settled", "hard sample: prompt"):
        assert words in page


def test_an_item_that_is_not_there_is_a_404(client: Client, lead: User) -> None:
    assert client.get(reverse("item", args=[404])).status_code == 404


@pytest.mark.parametrize("mode", [ReviewMode.BLIND, ReviewMode.DECIDE_FIRST])
def test_the_item_page_does_not_give_away_what_the_queue_hides(mode: ReviewMode) -> None:
    item = make_item(queue=default_queue(mode=mode))
    url = reverse("item", args=[item.pk])
    assert "The thing is dangerous" not in signed_in(make_user()).get(url).text
    assert "harmful" not in signed_in(make_user()).get(reverse("items")).text.replace("unharmful", "")


@pytest.mark.parametrize("hostile", [{"items": 5}, {"items": ["abc"], "keys": 1}])
def test_no_name_in_metadata_or_reason_breaks_the_item_page(
    client: Client, lead: User, hostile: dict[str, object]
) -> None:
    item = make_item(metadata=hostile, reason=hostile)
    page = client.get(reverse("item", args=[item.pk]))
    assert page.status_code == 200
    assert "<dt>items</dt>" in page.content.decode()


def test_a_lead_sends_a_failed_item_back_to_the_guard(
    client: Client, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[object] = []
    monkeypatch.setattr("annotation.pages.items.ring", rung.append)
    item = make_item(status=ItemStatus.PREDICTION_FAILED, error_message="Out of memory.", predicted=False)
    url = reverse("item_retry", args=[item.pk])
    assert signed_in(make_user()).post(url).status_code == 403
    assert url in client.get(reverse("item", args=[item.pk])).text
    assert "Sent back to the guard." in client.post(url, follow=True).text
    item.refresh_from_db()
    assert (item.status, len(rung)) == (ItemStatus.PENDING, 1)
    assert "Only an item whose prediction failed" in client.post(url, follow=True).text


def test_the_next_reviewer_of_an_item_does_not_see_the_first_ones_verdict() -> None:
    item = make_item(queue=default_queue(reviews_per_item=2))
    first, second = make_user(), make_user()
    review_of(item, first)
    url = reverse("item", args=[item.pk])
    hidden = "Hidden until you have reviewed it."
    assert [hidden in signed_in(user).get(url).text for user in (first, second)] == [False, True]
    review_of(item, second)
    assert hidden not in signed_in(second).get(url).text
