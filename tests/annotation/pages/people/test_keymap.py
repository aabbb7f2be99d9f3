"""A person's own keys, the palette, flags for later, and the item leased ahead."""

import pytest
from django.test import Client

from annotation.models import Assignment, Review, User
from annotation.people.keymap import ACTIONS
from annotation.review.assign import assign_next
from annotation.review.flags import flagged_items
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return make_user()


@pytest.fixture
def client(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def held(person: User) -> Assignment:
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    return lease


def keys(**changed: str) -> dict[str, str]:
    numbers = {key: f"key-{number}" for number, (key, _) in enumerate(ACTIONS)}
    return {numbers[{"skip": " "}.get(key, key)]: own for key, own in changed.items()}


def test_own_keys_are_kept_printed_and_put_back(client: Client, person: User) -> None:
    client.post("/account/keys/", keys(a="F2", n="Shift+N", skip="space"))
    person.refresh_from_db()
    assert person.keymap == {"a": "F2", "n": "Shift+N"}
    assert 'data-keymap="{&quot;a&quot;' in client.get("/").text
    client.post("/account/keys/", {"act": "reset"})
    person.refresh_from_db()
    assert person.keymap == {}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"a": "n"}, "two things"),
        ({"a": "?"}, "page itself"),
        ({"a": "Tab"}, "is no key"),
        ({"a": "Control+k"}, "page itself"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_the_reason(
    client: Client, person: User, changed: dict[str, str], words: str
) -> None:
    answer = client.post("/account/keys/", keys(**changed))
    assert answer.status_code == 422 and words in answer.text
    person.refresh_from_db()
    assert person.keymap == {}


def test_two_keys_can_be_exchanged(client: Client, person: User) -> None:
    client.post("/account/keys/", keys(a="n", n="a"))
    person.refresh_from_db()
    assert person.keymap == {"a": "n", "n": "a"}


def test_the_palette_finds_queues_and_items_by_id_and_external_id(client: Client) -> None:
    item = make_item()
    for query in (item.external_id, str(item.pk)):
        found = client.get("/palette/", {"q": query}).json()["found"]
        assert f"/items/{item.pk}/" in [one["url"] for one in found]
    assert client.get("/palette/", {"q": "defau"}).json()["found"][0]["sub"] == "Queue"
    assert client.get("/palette/", {"q": "\x00' OR 1=1"}).json()["found"] == []
    assert Client().get("/palette/").status_code == 302


def test_a_flagged_item_stands_on_the_first_page_until_it_is_taken_off(client: Client, person: User) -> None:
    item = make_item()
    lease = held(person)
    client.post(f"/assignments/{lease.token}/flag/")
    assert flagged_items(person) == [item] and "Flagged by you" in client.get("/").text
    client.post(f"/assignments/{lease.token}/flag/")
    assert flagged_items(person) == []


def test_the_item_ahead_comes_as_a_page_and_is_opened_by_the_decision_before_it(client: Client, person: User) -> None:
    make_item(priority=2.0), make_item(priority=1.0)
    first = held(person)
    sent = client.post("/review/default/ahead/").json()
    second = Assignment.objects.get(token=sent["token"])
    assert second.opened_at is None and second.item.external_id in sent["html"]
    answer = client.post(
        f"/assignments/{first.token}/submit/",
        {"prompt_label": "unharmful", "idempotency_key": "a-key-of-this-test", "opens": sent["token"]},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 204 and Review.objects.count() == 1
    assert Assignment.objects.get(token=sent["token"]).opened_at is not None
    assert client.post("/review/default/ahead/").status_code == 204  # nothing is left


def test_where_the_hold_on_the_item_ahead_ran_out_the_next_page_comes_instead(client: Client, person: User) -> None:
    make_item(), make_item()
    first = held(person)
    sent = client.post("/review/default/ahead/").json()
    Assignment.objects.filter(token=sent["token"]).update(expires_at="2020-01-01T00:00Z")
    answer = client.post(
        f"/assignments/{first.token}/submit/",
        {"prompt_label": "unharmful", "idempotency_key": "a-key-of-this-test", "opens": sent["token"]},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 200 and 'id="decision"' in answer.text
