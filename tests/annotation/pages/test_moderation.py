"""Leads set the thresholds of moderation."""

import pytest
from django.test import Client

from annotation.models import Event, ModerationThreshold
from annotation.status import EventKind, Role
from tests.factories import default_policy, default_queue, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> Client:
    default_policy()
    client = Client()
    client.force_login(make_user(Role.LEAD))
    return client


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_leads_set_thresholds(method: str) -> None:
    client = Client()
    client.force_login(make_user())
    assert getattr(client, method)("/moderation/").status_code == 403


def test_a_lead_sets_changes_and_takes_back_thresholds(lead: Client) -> None:
    queue = default_queue()
    assert "Violent crimes (S1)" in lead.get("/moderation/").text
    assert (
        lead.post(
            "/moderation/",
            {
                "harmful-review_at": "0.4",
                "harmful-block_at": "0.8",
                "S1-review_at": "0.2",
                "S1-block_at": "1.1",
                "S1-queue": str(queue.pk),
            },
        ).status_code
        == 302
    )
    assert list(
        ModerationThreshold.objects.order_by("category").values_list("category", "review_at", "block_at", "queue")
    ) == [("S1", 0.2, 1.1, queue.pk), ("harmful", 0.4, 0.8, None)]
    assert 'value="0.2"' in lead.get("/moderation/").text
    lead.post("/moderation/", {"harmful-review_at": "0.5", "harmful-block_at": "0.9"})
    assert [row.category for row in ModerationThreshold.objects.all()] == ["harmful"]
    assert Event.objects.filter(kind=EventKind.THRESHOLDS_CHANGED).count() == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"S1-review_at": "0.5"}, "Give both scores"),
        ({"S1-review_at": "0.9", "S1-block_at": "0.5"}, "cannot begin below"),
        ({"S1-review_at": "2", "S1-block_at": "2"}, "less than or equal to 1.1"),
        ({"S1-review_at": "x", "S1-block_at": "1"}, "Enter a number"),
    ],
)
def test_thresholds_that_make_no_sense_come_back_with_the_problem(
    lead: Client, fields: dict[str, str], words: str
) -> None:
    answer = lead.post("/moderation/", fields)
    assert answer.status_code == 422 and words in answer.text and not ModerationThreshold.objects.exists()
