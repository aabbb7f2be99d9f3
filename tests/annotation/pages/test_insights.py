"""The pages of insights and hidden gold."""

import csv
import io
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from annotation.insights.days import count_days
from annotation.insights.flow import backlog, throughput
from annotation.insights.sections import SECTIONS
from annotation.models import HiddenGold, Item, QueueTally, Review, ReviewQueue, ReviewRetraction
from annotation.queues.counts import LIVE_UP_TO, renew_tallies
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.exposure import record_exposure
from annotation.review.submit import submit_review
from annotation.status import ErrorKind, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
KEYS = [key for row in SECTIONS.values() for key in row]


@pytest.fixture
def lead() -> Client:
    default_policy()
    client = Client()
    client.force_login(make_user(Role.LEAD))
    return client


def work() -> Item:
    """Two people on one item who disagree with the guard, one settled item of another, and some exposure."""
    queue, ann = default_queue(reviews_per_item=2), make_user()
    ann.username = "=ann"
    ann.save()
    item = make_item(free_slots=2)
    for person in (ann, make_user()):
        lease = assign_next(reviewer=person, queue=queue)
        assert lease is not None
        submit_review(
            reviewer=person,
            token=lease.token,
            idempotency_key=uuid.uuid4().hex,
            decision=Decision(
                ReviewKind.CORRECTED, Harmfulness.UNHARMFUL, confidence=3, error_kinds=(ErrorKind.MISREAD,)
            ),
        )
    record_exposure(reviewer=ann, item=item, seconds=90, severity=3)
    Review.objects.filter(reviewer=ann).update(created_at=timezone.now() - timedelta(days=2))
    make_item()
    return item


@pytest.mark.parametrize("path", ["/insights/", "/insights/throughput.csv", "/known/"])
def test_insights_are_for_leads(path: str) -> None:
    client = Client()
    client.force_login(make_user())
    assert client.get(path).status_code == 403
    assert client.post("/items/1/known/").status_code == 403


def test_the_page_shows_every_insight_with_and_without_data(lead: Client) -> None:
    assert lead.get("/insights/?days=7").text.count("Nothing to show yet") > 5
    work()
    page = lead.get("/insights/").text
    for key in KEYS:
        assert f'id="{key}"' in page
    assert lead.get("/insights/?days=999").status_code == 200


def test_the_numbers_are_those_of_the_work(lead: Client) -> None:
    work()

    def table(key: str) -> dict[str, list[str]]:
        return {row[0]: row[1:] for row in csv.reader(io.StringIO(lead.get(f"/insights/{key}.csv").text))}

    days = table("throughput")
    assert len(days) == 32 and sum(int(row[1]) for name, row in days.items() if name != "day") == 2
    assert table("drift")[str(timezone.now().date() - timedelta(days=timezone.now().weekday()))] == ["", "1.0", "1"]
    assert table("errors")["Misread the text or media"] == ["2"]
    assert table("calibration")["3 high"] == ["1.0", "2"]
    assert table("exposure")[str(timezone.now().date())] == ["1.5", "1", "1"]
    assert table("backlog")["under 1 hour"] == ["1"]
    assert "'=ann" in table("pace")  # no spreadsheet runs it
    assert lead.get("/insights/nothing.csv").status_code == 404


def test_days_that_are_over_are_counted_once_and_again_after_an_undo(lead: Client) -> None:
    work()
    old, new = Review.objects.order_by("created_at")
    assert count_days() == 2  # the day of the old one and the day after it; today is not over
    assert count_days() == 0
    before = throughput(timezone.now() - timedelta(days=7)).rows
    assert [row[2] for row in before if row[2]] == [1, 1]
    Review.objects.filter(pk=old.pk).update(kind="accepted")
    # read from what was counted, not from the reviews
    assert throughput(timezone.now() - timedelta(days=7)).rows == before
    ReviewRetraction.objects.create(review=old)
    assert count_days() == 1
    assert [row[2] for row in throughput(timezone.now() - timedelta(days=7)).rows if row[2]] == [1]
    ReviewRetraction.objects.create(review=new)
    assert not any(row[2] for row in throughput(timezone.now() - timedelta(days=7)).rows)


def test_many_waiting_items_are_counted_by_age_from_the_tally(lead: Client) -> None:
    for hours in (0, 2, 5, 30, 100, 1_000):
        make_item(created_at=timezone.now() - timedelta(hours=hours))
    live = backlog(timezone.now()).rows
    assert [row[1] for row in live] == [1, 1, 1, 1, 1, 1]
    renew_tallies(force=True)
    QueueTally.objects.update(items=LIVE_UP_TO + 1)
    Item.objects.all().delete()
    assert backlog(timezone.now()).rows == live


@pytest.mark.parametrize("key", KEYS)
def test_every_insight_has_its_csv(lead: Client, key: str) -> None:
    work()
    assert lead.get(f"/insights/{key}.csv?days=7").status_code == 200


def test_a_picture_of_many_queues_colours_the_fullest_and_shows_the_rest_as_one() -> None:
    for number in range(8):
        queue = ReviewQueue.objects.create(slug=f"queue-{number}", name=f"Queue {number}")
        for _ in range(8 - number):
            make_item(queue=queue)
    insight = backlog(timezone.now())
    assert insight.columns[1:7] == (*(f"Queue {number}" for number in range(5)), "Other")
    assert insight.drawn == (1, 2, 3, 4, 5, 6)
    assert insight.rows[0][1:] == (8, 7, 6, 5, 4, 3 + 2 + 1, 3, 2, 1)


def test_a_lead_makes_a_settled_item_hidden_gold_and_retires_it(lead: Client) -> None:
    item = work()
    lead.post(f"/items/{item.pk}/known/")
    assert HiddenGold.objects.get().active
    assert item.external_id in lead.get("/known/").text
    lead.post(f"/items/{item.pk}/known/", {"act": "retire"})
    assert not HiddenGold.objects.get().active
    assert (
        "Only an item with a settled verdict"
        in lead.post(f"/items/{Item.objects.latest('id').pk}/known/", follow=True).text
    )
