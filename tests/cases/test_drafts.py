"""An unfinished review keeps what was typed, whether it could be submitted or not."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Assignment, Draft
from annotation.review.assign import assign_next
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
TOO_LONG = "a note that went on and on " * 500


@pytest.fixture
def held(client: Client) -> Assignment:
    person = make_user()
    client.force_login(person)
    make_item()
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    return lease


def save(client: Client, held: Assignment, **fields: object) -> dict[str, object]:
    data = {"idempotency_key": "0123456789abcdef", **fields}
    assert client.post(reverse("draft", args=[held.token]), data).json() == {"saved": True}
    return dict(Draft.objects.get().payload)


def test_a_note_and_a_reason_that_are_too_long_are_kept(client: Client, held: Assignment) -> None:
    kept = save(client, held, prompt_label="harmful", note=TOO_LONG, reason="x" * 400)
    assert (kept["note"], kept["reason"], kept["prompt_label"]) == (TOO_LONG, "x" * 400, "harmful")
    assert TOO_LONG.strip() in client.get(reverse("review", args=["default"])).text


def test_a_category_that_is_gone_takes_no_other_tick_along(client: Client, held: Assignment) -> None:
    kept = save(client, held, categories=["S1", "S99", "S2"], error_kinds=["nonsense"])
    assert (kept["categories"], kept["error_kinds"]) == (["S1", "S2"], [])


def test_a_draft_without_a_label_keeps_its_words(client: Client, held: Assignment) -> None:
    kept = save(client, held, note="not decided yet", **{"step-1-edit": "half a sent"})
    assert kept["note"] == "not decided yet" and kept["steps"][0]["edit"] == "half a sent"  # type: ignore[index]
