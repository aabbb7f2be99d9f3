"""Texts that people paste: control characters go, line ends count once, and no database refuses a form half-way."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Appeal, Assignment, Draft, Event, Item, PolicyVersion, Review, SavedFilter, User
from annotation.people.api_keys import create_key
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import ApiScope, EventKind, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
PASTED = "one\x00 two\r\nthree\x0b \x1f🎈"
KEPT = "one two\nthree 🎈"


@pytest.fixture
def lead(client: Client) -> User:
    user = make_user(Role.LEAD)
    client.force_login(user)
    return user


def hold(person: User) -> Assignment:
    held = assign_next(reviewer=person, queue=default_queue())
    assert held is not None
    return held


def settled() -> Item:
    make_item()
    person = make_user()
    held = hold(person)
    decision = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL, categories=("S1",))
    submit_review(reviewer=person, token=held.token, idempotency_key=uuid.uuid4().hex, decision=decision)
    return held.item


def test_a_decision_keeps_what_can_be_seen_of_a_note_an_edit_and_an_added_step(client: Client, lead: User) -> None:
    make_item()
    fields = {
        "idempotency_key": "0123456789abcdef",
        "prompt_label": "unharmful",
        "note": PASTED,
        "reason": "one\x00 two",
        "step-1-mark": "wrong",
        "step-1-edit": PASTED,
        "added": [PASTED],
    }
    answer = client.post(reverse("submit", args=[hold(lead).token]), fields)
    assert answer.status_code == 302
    review = Review.objects.get()
    assert (review.note, review.reason) == (KEPT, "one two")
    assert (review.steps[0]["edit"], review.steps[-1]["edit"]) == (KEPT, KEPT)


def test_a_draft_keeps_it_too(client: Client, lead: User) -> None:
    make_item()
    fields = {"idempotency_key": "0123456789abcdef", "prompt_label": "harmful", "note": PASTED, "step-1-edit": PASTED}
    assert client.post(reverse("draft", args=[hold(lead).token]), fields).status_code == 200
    payload = Draft.objects.get().payload
    assert (payload["note"], payload["steps"][0]["edit"]) == (KEPT, KEPT)


def test_a_step_link_with_half_a_character_is_left_out(client: Client, lead: User) -> None:
    make_item()
    fields = {
        "idempotency_key": "0123456789abcdef",
        "prompt_label": "unharmful",
        "step-1-mark": "wrong",
        "step-1-links": r'[{"kind": "span", "field": "\ud83d", "start": 0, "end": 2}]',
    }
    assert client.post(reverse("submit", args=[hold(lead).token]), fields).status_code == 302
    assert not Review.objects.get().steps[0].get("links")


def test_an_escalation_says_its_reason(client: Client, lead: User) -> None:
    make_item()
    held = hold(lead)
    assert client.post(reverse("escalate", args=[held.token]), {"reason": PASTED}).status_code == 302
    held.refresh_from_db()
    assert held.reason == KEPT


def test_an_appeal_says_its_reason(client: Client, lead: User) -> None:
    item = settled()
    assert client.post(reverse("appeal", args=[item.pk]), {"reason": PASTED}).status_code == 302
    assert Appeal.objects.get().reason == KEPT


def test_a_policy_is_published_with_its_texts(client: Client, lead: User) -> None:
    version = default_policy()
    rows = list(version.categories.all())
    fields = {
        "based_on": version.number,
        "change": PASTED,
        "text": PASTED,
        "code": [row.code for row in rows],
        "name": [row.name for row in rows],
        "guidance": [PASTED for _ in rows],
    }
    assert client.post(reverse("policy_edit", args=["default"]), fields).status_code == 302
    made = PolicyVersion.objects.latest("number")
    assert made.text == KEPT and {row.guidance for row in made.categories.all()} == {KEPT}


def test_hidden_gold_and_saved_filters_take_it(client: Client, lead: User) -> None:
    item = settled()
    assert client.post(reverse("know", args=[item.pk]), {"note": PASTED}).status_code == 302
    answer = client.post(reverse("filter_save"), {"name": "night\x00 shift", "query": "text=bread\x00"})
    assert answer.status_code == 302 and SavedFilter.objects.get().name == "night shift"


@pytest.mark.parametrize("name", ["items", "palette", "home", "insights", "export"])
def test_addresses_with_such_characters_are_answered(client: Client, lead: User, name: str) -> None:
    make_item(prompt="bread and butter")
    for parameter in ("q", "text", "source", "external_id", "language", "category", "before", "days"):
        answer = client.get(reverse(name), {parameter: "bread\x00\x1f"})
        assert answer.status_code in (200, 404), parameter


def test_a_search_finds_what_was_meant(client: Client, lead: User) -> None:
    item = make_item(prompt="bread and butter")
    assert item.external_id in client.get(reverse("items"), {"text": "\x00bread\x0b"}).text


def test_a_note_of_the_allowed_length_is_not_too_long_for_its_line_ends(client: Client, lead: User) -> None:
    make_item()
    note = "x" * 9_000 + "\r\n" * 1_000
    fields = {"idempotency_key": "0123456789abcdef", "prompt_label": "unharmful", "note": note}
    assert client.post(reverse("submit", args=[hold(lead).token]), fields).status_code == 302
    assert Event.objects.filter(kind=EventKind.REVIEWED).exists()
    assert Review.objects.get().note == note.replace("\r\n", "\n").strip()


def test_a_program_gets_the_field_named_instead(client: Client) -> None:
    make_item()
    lead = make_user(Role.LEAD)
    key = create_key(owner=lead, name="k", scopes=[ApiScope.REVIEWS_WRITE])
    answer = client.put(
        f"/api/v1/assignments/{hold(lead).token}/draft",
        {"payload": {"note": "a\x00"}},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key.secret}"},
    )
    assert answer.status_code == 422 and "NUL" in str(answer.json()["errors"])
