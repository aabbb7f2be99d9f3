"""The time that a review took is the time in which somebody worked on it, and never more than has passed."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Assignment, Review
from annotation.review.assign import assign_next
from annotation.status import AssignmentState
from tests.cases.test_undo_after_skip import decide
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def held(client: Client) -> Assignment:
    """Opened ten minutes ago."""
    person = make_user()
    client.force_login(person)
    make_item()
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    Assignment.objects.update(opened_at=timezone.now() - timedelta(minutes=10))
    return lease


def submit(client: Client, held: Assignment, **fields: object) -> Review | None:
    form = {"idempotency_key": "0123456789abcdef", "prompt_label": "harmful", "categories": ["S1"], **fields}
    client.post(reverse("submit", args=[held.token]), form, headers=HTMX)
    return Review.objects.first()


def beat(client: Client, held: Assignment, active: object) -> None:
    assert client.post(reverse("heartbeat", args=[held.token]), {"active": active}).status_code == 200


def test_only_the_active_seconds_count(client: Client, held: Assignment) -> None:
    beat(client, held, 20)
    beat(client, held, 12.5)
    review = submit(client, held, active="7.5")
    assert review is not None and review.seconds == 40.0


def test_a_page_cannot_report_more_than_has_passed(client: Client, held: Assignment) -> None:
    beat(client, held, 100_000)
    review = submit(client, held, active="5")
    assert review is not None and 600 <= review.seconds < 660


@pytest.mark.parametrize("nonsense", ["nan", "inf", "-50", "many", ""])
def test_nonsense_is_no_time(client: Client, held: Assignment, nonsense: str) -> None:
    beat(client, held, 20)
    beat(client, held, nonsense)
    review = submit(client, held, active=nonsense)
    assert review is not None and review.seconds == 20.0


def test_without_a_page_the_server_s_time_counts() -> None:
    make_item()
    person = make_user()
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    Assignment.objects.update(opened_at=timezone.now() - timedelta(seconds=30))
    assert 30 <= decide(person).seconds < 60


def test_a_decision_after_a_long_pause_is_still_too_fast(client: Client, held: Assignment) -> None:
    default_queue(fewest_seconds=5)
    assert submit(client, held, active="2") is None
    assert submit(client, held, active="4") is not None, "six active seconds together"


def test_reports_after_the_end_change_nothing(client: Client, held: Assignment) -> None:
    submit(client, held, active="7")
    submit(client, held, active="7")
    ended = Assignment.objects.get(state=AssignmentState.SUBMITTED)
    assert ended.active_seconds == 7.0 and Review.objects.get().seconds == 7.0
