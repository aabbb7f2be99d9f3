"""Reports are rows of their own: each is kept and counted, raises the priority, and may reopen a decided item."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.test import Client
from django.urls import reverse

from annotation.ingest.read_rows import read_row
from annotation.ingest.reports import report_item
from annotation.ingest.store_items import content_hash, ingest_items
from annotation.ingest.values import IncomingReport, RowResult
from annotation.models import Event, GoldLabel, Item, Report, ReviewQueue, RoutingRule
from annotation.queues.access import save_queue
from annotation.queues.priority import points_of_reports, route_item
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import EventKind, ItemStatus, QueueOrder, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user
from tests.paths import ROOT

pytestmark = pytest.mark.django_db
INSULT = {"reporter": "r-1", "reason": {"policy_id": "p1", "text": "Insult."}, "reported_at": "2025-01-31T12:00:00Z"}
THREAT = {"reporter": "r-2", "reason": {"policy_id": "p2", "text": "A threat!"}}


def send(**row: Any) -> RowResult:
    default_queue()
    [result] = ingest_items(rows=[read_row({"external_id": "a", "source": "forum", "prompt": "You…", **row})])
    return result


def reported(**reason: Any) -> IncomingReport:
    return IncomingReport("r", reason or {"text": "Again."})


def decide(item: Item) -> None:
    held = assign_next(reviewer=make_user(), queue=item.queue)
    assert held is not None and held.item == item
    submit_review(
        reviewer=held.reviewer,
        token=held.token,
        idempotency_key=str(held.token),
        decision=Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL, categories=("S1",)),
    )
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED


def test_the_reason_of_a_row_is_the_first_report_and_a_later_post_adds_another() -> None:
    first = send(reason=INSULT["reason"], reported_at=INSULT["reported_at"])
    again = send(reason=THREAT["reason"])
    assert (again.status, again.id, again.reports_added) == ("exists", first.id, 1)
    item = Item.objects.get()
    assert [one.reason["text"] for one in item.reports.all()] == ["Insult.", "A threat!"]
    assert (item.report_count, item.reason) == (2, INSULT["reason"])
    assert [event.detail["reports"] for event in item.events.filter(kind=EventKind.REPORTED)] == [1]


def test_the_same_report_again_is_kept_once() -> None:
    for _ in range(3):
        send(reports=[INSULT, INSULT, THREAT])
    assert (Report.objects.count(), Item.objects.get().report_count) == (2, 2)
    assert not Event.objects.filter(kind=EventKind.REPORTED).exists()


def test_the_reason_that_is_among_the_reports_is_not_counted_twice() -> None:
    send(reason=INSULT["reason"], reported_at=INSULT["reported_at"], reports=[INSULT, THREAT])
    item = Item.objects.get()
    assert [one.reporter for one in item.reports.all()] == ["r-1", "r-2"]
    sent = {"reason": item.reason, "reported_at": item.reported_at and item.reported_at.isoformat()}
    result = send(**sent, reports=[INSULT, THREAT])
    assert result.reports_added == 0


def test_a_row_with_reports_alone_takes_its_reason_and_time_from_the_earliest() -> None:
    send(reports=[THREAT, INSULT])
    item = Item.objects.get()
    assert (item.reason, item.reported_at) == (INSULT["reason"], datetime(2025, 1, 31, 12, tzinfo=UTC))


def test_rows_of_one_batch_about_one_item_add_their_reports() -> None:
    default_queue()
    row = {"external_id": "a", "prompt": "You…"}
    results = ingest_items(rows=[read_row({**row, "reports": [one]}) for one in (INSULT, THREAT, INSULT)])
    assert [result.reports_added for result in results] == [0, 1, 0]
    assert Item.objects.get().report_count == 2


def test_a_row_without_reports_adds_none_to_an_item_that_exists() -> None:
    send(reason=INSULT["reason"])
    assert send().reports_added == 0
    assert Item.objects.get().report_count == 1


def test_other_content_under_the_same_id_adds_no_report() -> None:
    send(reason=INSULT["reason"])
    assert send(prompt="Something else", reason=THREAT["reason"]).status == "conflict"
    assert Item.objects.get().report_count == 1


@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.READY, ItemStatus.ESCALATED])
def test_a_report_raises_the_priority_of_a_waiting_item_at_once(status: ItemStatus) -> None:
    item, other = make_item(status=status, report_count=1), make_item(status=status, report_count=1)
    added = report_item(item_id=item.pk, reports=[reported()])
    item.refresh_from_db()
    assert (added.count, item.report_count) == (2, 2)
    assert item.priority == other.priority + 1.0


@pytest.mark.parametrize("order", list(QueueOrder))
def test_predicting_an_item_again_gives_the_priority_that_its_reports_gave(order: QueueOrder) -> None:
    """Counted when the reports came in, or when the guard has answered: the same."""
    queue = default_queue(order=order)
    item = make_item(queue=queue)
    assert item.prediction is not None
    item.priority = route_item(item=item, prediction=item.prediction).priority
    item.save(update_fields=["priority"])
    report_item(item_id=item.pk, reports=[reported(text=str(number)) for number in range(5)])
    item.refresh_from_db()
    assert item.priority == pytest.approx(route_item(item=item, prediction=item.prediction).priority, abs=1e-5)


def test_more_reports_never_lower_the_priority_and_a_flood_is_worth_five_days() -> None:
    for order in QueueOrder:
        points = [points_of_reports(order, count) for count in range(200)]
        assert points == sorted(points)
    assert points_of_reports(QueueOrder.RISK, 100_000) == 5.0


def test_a_queue_can_be_served_by_the_number_of_reports() -> None:
    queue = default_queue(order=QueueOrder.REPORTS)
    few, many = make_item(queue=queue), make_item(queue=queue)
    report_item(item_id=few.pk, reports=[reported()])
    report_item(item_id=many.pk, reports=[reported(text=str(number)) for number in range(3)])
    held = assign_next(reviewer=make_user(), queue=queue)
    assert held is not None and held.item == many


def test_items_with_several_reports_are_predicted_first() -> None:
    send(external_id="quiet", reason={"text": "a"})
    send(external_id="loud", reports=[INSULT, THREAT])
    assert Item.objects.order_by("-priority", "id").values_list("external_id", flat=True)[0] == "loud"


def test_a_decided_item_stays_decided_where_the_queue_does_not_ask_for_more() -> None:
    item = make_item()
    decide(item)
    assert not report_item(item_id=item.pk, reports=[reported()]).reopened
    item.refresh_from_db()
    assert (item.status, item.report_count, item.round) == (ItemStatus.REVIEWED, 1, 1)


def test_a_decided_item_is_reopened_by_as_many_new_reports_as_the_queue_says() -> None:
    item = make_item(queue=default_queue(reopen_after_reports=2))
    report_item(item_id=item.pk, reports=[reported(text="before the decision")])
    decide(item)
    assert not report_item(item_id=item.pk, reports=[reported(text="one")]).reopened
    assert not report_item(item_id=item.pk, reports=[reported(text="one")]).reopened  # the same again
    assert report_item(item_id=item.pk, reports=[reported(text="two")]).reopened
    item.refresh_from_db()
    assert (item.status, item.round, item.free_slots) == (ItemStatus.READY, 2, 1)
    assert GoldLabel.objects.standing().filter(item=item).exists(), "the verdict stands until people decide again"
    assert [one.detail for one in item.events.filter(kind=EventKind.REOPENED)] == [{"reports": 2}]
    decide(item)
    assert item.reviews.count() == 2 and GoldLabel.objects.standing().filter(item=item).count() == 1
    assert not report_item(item_id=item.pk, reports=[reported(text="three")]).reopened, (
        "counted since the last decision"
    )


def test_a_batch_reopens_a_decided_item_and_its_result_says_so() -> None:
    item = make_item(queue=default_queue(reopen_after_reports=1))
    Item.objects.filter(pk=item.pk).update(content_hash=content_hash(item.prompt, None, []))
    decide(item)
    row = {"external_id": item.external_id, "source": item.source, "prompt": item.prompt, "reports": [THREAT]}
    [result] = ingest_items(rows=[read_row(row)])
    assert (result.status, result.reports_added, result.reopened) == ("exists", 1, True)


def test_a_report_moves_a_waiting_item_where_a_rule_asks_for_reports() -> None:
    urgent = ReviewQueue.objects.create(slug="urgent", name="Urgent", reviews_per_item=2)
    RoutingRule.objects.create(name="many", queue=urgent, conditions={"reports_from": 2})
    item = make_item(report_count=1)
    report_item(item_id=item.pk, reports=[reported()])
    item.refresh_from_db()
    assert (item.queue, item.free_slots) == (urgent, 2)
    assert item.events.filter(kind=EventKind.REROUTED).exists()


def test_a_report_does_not_move_an_item_that_somebody_holds() -> None:
    urgent = ReviewQueue.objects.create(slug="urgent", name="Urgent")
    RoutingRule.objects.create(name="many", queue=urgent, conditions={"reports_from": 1})
    item = make_item()
    assert assign_next(reviewer=make_user(), queue=item.queue) is not None
    report_item(item_id=item.pk, reports=[reported()])
    item.refresh_from_db()
    assert item.queue.slug == "default"


def test_an_item_stored_without_a_row_for_its_reason_gets_it_with_the_next_report() -> None:
    item = make_item(reason={"text": "Told with the item."})
    added = report_item(item_id=item.pk, reports=[reported()])
    assert (added.count, [one.reason["text"] for one in item.reports.all()]) == (2, ["Told with the item.", "Again."])


def test_a_lead_sets_after_how_many_reports_a_decision_is_looked_at_again(client: Client) -> None:
    queue = default_queue()
    client.force_login(make_user(Role.LEAD))
    page = client.get(reverse("queue", args=[queue.slug]))
    assert "New reports that reopen a decided item" in page.text
    queue.reopen_after_reports, queue.order = 3, QueueOrder.REPORTS
    save_queue(queue=queue)
    queue.refresh_from_db()
    assert (queue.reopen_after_reports, queue.order) == (3, "reports")


def test_the_reports_of_items_of_earlier_releases_are_made_rows_once() -> None:
    at = datetime(2025, 1, 31, 12, tzinfo=UTC)
    told = make_item(reason={"text": "Ä", "score": 0.5, "list": [1, None]}, reported_at=at)
    timed, plain = make_item(reported_at=at + timedelta(seconds=0.123456)), make_item()
    [migration] = (ROOT / "annotation/migrations").glob("*_first_reports.py")
    for _ in range(2):
        import_module(f"annotation.migrations.{migration.stem}").make_rows(apps, None)
    assert [(one.item_id, one.reason, one.reported_at) for one in Report.objects.order_by("item")] == [
        (told.pk, told.reason, at),
        (timed.pk, {}, timed.reported_at),
    ]
    counts = dict(Item.objects.values_list("pk", "report_count"))
    assert counts == {told.pk: 1, timed.pk: 1, plain.pk: 0}
    again = IncomingReport("", told.reason, at)
    assert not report_item(item_id=told.pk, reports=[again]).new, "the migration knows reports by the same digest"


@pytest.mark.django_db(transaction=True)
def test_reports_that_come_in_at_the_same_time_are_all_counted() -> None:
    item = make_item()

    def report(number: int) -> None:
        try:
            report_item(item_id=item.pk, reports=[reported(text=str(number % 10))])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(40)))
    item.refresh_from_db()
    assert (item.report_count, item.reports.count()) == (10, 10)
    assert item.priority == pytest.approx(points_of_reports(QueueOrder.RISK, 10))
