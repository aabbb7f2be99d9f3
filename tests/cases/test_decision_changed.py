"""A decision that changes is announced as the first one was: once, in order, with the one before it."""

import json
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from annotation.errors import NothingToUndo, ServiceError
from annotation.items.bulk_decision import BulkUndone, decide_many, undo_many
from annotation.models import Delivery, Event, GoldLabel, Item, Review, User, Webhook
from annotation.outbound.webhooks import deliver_due, replay
from annotation.policies.publish import send_to_review
from annotation.review.adjudication import adjudicate
from annotation.review.appeals import open_appeal
from annotation.review.assign import assign_escalated, assign_next
from annotation.review.decision import Decision
from annotation.review.submit import escalate, submit_review
from annotation.review.undo import undo_last, undo_review
from annotation.status import DeliveryState, EventKind, ItemStatus, ReviewKind, Role, WebhookEvent
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
ABOUT_ITEMS = [one.value for one in WebhookEvent if one.value.startswith("item.")]


@pytest.fixture(autouse=True)
def platform() -> Webhook:
    return Webhook.objects.create(name="Platform", url="http://127.0.0.1:9/hook", events=ABOUT_ITEMS)


def says(label: str, *categories: str) -> Decision:
    return Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness(label), categories=categories)


def decide(person: User, label: str, *categories: str) -> Review:
    held = assign_next(reviewer=person, queue=default_queue())
    assert held is not None
    return submit_review(
        reviewer=person, token=held.token, idempotency_key=uuid.uuid4().hex, decision=says(label, *categories)
    )


def told() -> list[tuple[str, str | None, str | None]]:
    """Each message about items: its event, and the prompt labels before and now."""
    messages = []
    for event, payload in Delivery.objects.order_by("id").values_list("event", "payload"):
        present = payload if event == "item.decided" else payload["present"]
        earlier = payload.get("earlier") or {}
        messages.append((event, earlier.get("prompt_label"), (present or {}).get("prompt_label")))
    return messages


def test_an_undo_is_announced_with_the_decision_that_is_gone() -> None:
    person, item = make_user(), make_item()
    decide(person, "unharmful")
    undo_last(reviewer=person)
    assert told() == [("item.decided", None, "unharmful"), ("item.decision_changed", "unharmful", None)]
    message = Delivery.objects.order_by("id")[1].payload
    assert (message["because"], message["present"], message["verdict_changed"]) == ("undo", None, True)
    assert (message["item"], message["external_id"]) == (item.pk, item.external_id)


def test_a_new_decision_after_an_undo_is_a_decision_again() -> None:
    person = make_user()
    make_item()
    decide(person, "unharmful")
    undo_last(reviewer=person)
    decide(person, "harmful", "S1")
    assert told()[2] == ("item.decided", None, "harmful")


def test_an_appeal_that_overturns_or_upholds_is_announced_and_says_which() -> None:
    item = make_item()
    decide(make_user(), "unharmful")
    for label, changed in (("harmful", True), ("harmful", False)):
        open_appeal(item=item, reason="look again")
        assert len(told()) == (1 if changed else 2), "an appeal by itself changes no decision"
        decide(make_user(), label, "S1")
        message = Delivery.objects.order_by("-id")[0]
        assert message.event == "item.decision_changed"
        assert (message.payload["because"], message.payload["verdict_changed"]) == ("appeal", changed)
    assert [event for event, *_ in told()].count("item.decided") == 1


def test_an_undone_appeal_brings_the_decision_before_it_back() -> None:
    item, second = make_item(), make_user()
    decide(make_user(), "unharmful")
    open_appeal(item=item, reason="look again")
    decide(second, "harmful", "S1")
    with pytest.raises(ServiceError):
        undo_last(reviewer=Review.objects.order_by("id")[0].reviewer)
    undo_last(reviewer=second)
    assert told()[-1] == ("item.decision_changed", "harmful", "unharmful")


def test_a_round_under_a_new_policy_is_announced_when_it_settles() -> None:
    make_item()
    decide(make_user(), "unharmful")
    GoldLabel.objects.update(stale_at=timezone.now())
    send_to_review(gold_ids=[GoldLabel.objects.get().pk], by=make_user(Role.LEAD))
    assert len(told()) == 1
    decide(make_user(), "harmful", "S1")
    assert told()[1] == ("item.decision_changed", "unharmful", "harmful")


def test_a_lead_s_settling_over_an_earlier_decision_says_so() -> None:
    item, lead = make_item(), make_user(Role.LEAD)
    decide(make_user(), "unharmful")
    GoldLabel.objects.update(stale_at=timezone.now())
    send_to_review(gold_ids=[GoldLabel.objects.get().pk], by=lead)
    person = make_user()
    held = assign_next(reviewer=person, queue=default_queue())
    assert held is not None
    escalate(reviewer=person, token=held.token, reason="not sure")
    again = assign_escalated(lead=lead, item=item)
    assert again is not None
    adjudicate(
        lead=lead,
        token=again.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(
            kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.HARMFUL, categories=("S1",), reason="by the rule"
        ),
    )
    assert told()[1] == ("item.decision_changed", "unharmful", "harmful")
    assert Delivery.objects.order_by("-id")[0].payload["because"] == "adjudication"


def test_decisions_in_bulk_and_their_undoing_are_announced_one_by_one() -> None:
    lead, items = make_user(Role.LEAD), [make_item() for _ in range(3)]
    bulk = decide_many(by=lead, items=items, prompt_label=Harmfulness.UNHARMFUL, idempotency_key="a-bulk-key")
    decide_many(by=lead, items=items, prompt_label=Harmfulness.UNHARMFUL, idempotency_key="a-bulk-key")
    undo_many(bulk=bulk, by=lead)
    with pytest.raises(BulkUndone):
        undo_many(bulk=bulk, by=lead)
    assert [event for event, *_ in told()] == ["item.decided"] * 3 + ["item.decision_changed"] * 3
    assert {row["item"] for row in Delivery.objects.values_list("payload", flat=True)} == {one.pk for one in items}


def test_what_was_never_decided_is_never_announced_as_changed() -> None:
    person, lead = make_user(), make_user(Role.LEAD)
    default_queue(reviews_per_item=2)
    make_item()
    decide(person, "unharmful")
    undo_last(reviewer=person)
    decide(person, "unharmful")
    decide(lead, "harmful", "S1")
    assert Item.objects.get().status == ItemStatus.ESCALATED
    assert told() == []


def test_the_sequence_grows_with_each_message_of_an_item() -> None:
    item = make_item()
    decide(make_user(), "unharmful")
    for label in ("harmful", "unharmful"):
        open_appeal(item=item, reason="look again")
        decide(make_user(), label)
    numbers = [payload["sequence"] for payload in Delivery.objects.order_by("id").values_list("payload", flat=True)]
    assert numbers == sorted(set(numbers)) and len(numbers) == 3
    assert set(numbers) <= set(Event.objects.filter(kind=EventKind.GOLD_SETTLED).values_list("pk", flat=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="threads share the one database in memory")
def test_two_tabs_that_undo_at_once_announce_it_once() -> None:
    person = make_user()
    make_item()
    review = decide(person, "unharmful")
    start, refused = threading.Barrier(4), []

    def undo() -> None:
        start.wait()
        try:
            undo_review(reviewer=person, review_id=review.pk)
        except NothingToUndo as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=undo) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert [event for event, *_ in told()] == ["item.decided", "item.decision_changed"]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[dict[str, Any]]:
    """A server that answers with the next of `statuses`, then 200, and keeps the messages that it took."""
    settings.WEBHOOKS_PRIVATE = True
    made: dict[str, Any] = {"statuses": [], "took": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = made["statuses"].pop(0) if made["statuses"] else 200
            if status == 200:
                made["took"].append((body["type"], body["data"]["item"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made["url"] = f"http://127.0.0.1:{http.server_port}/hook"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        http.shutdown()
        thread.join()


def test_messages_of_an_item_arrive_in_order_even_if_the_first_has_to_be_sent_again(
    receiver: dict[str, Any], platform: Webhook
) -> None:
    Webhook.objects.update(url=receiver["url"])
    person, first = make_user(), make_item()
    decide(person, "unharmful")
    undo_last(reviewer=person)
    other = make_item()
    decide(make_user(), "unharmful")
    receiver["statuses"] = [503]
    assert deliver_due() is False
    assert receiver["took"] == [("item.decided", other.pk)], "another item does not wait, its own later message does"
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    deliver_due()
    assert receiver["took"][1:] == [("item.decided", first.pk), ("item.decision_changed", first.pk)]


def test_a_message_that_has_failed_for_good_holds_up_no_other(receiver: dict[str, Any]) -> None:
    Webhook.objects.update(url=receiver["url"])
    person, item = make_user(), make_item()
    decide(person, "unharmful")
    undo_last(reviewer=person)
    Delivery.objects.filter(event="item.decided").update(state=DeliveryState.FAILED)
    deliver_due()
    assert receiver["took"] == [("item.decision_changed", item.pk)]
    replay(delivery=Delivery.objects.get(event="item.decided"), actor=make_user(Role.LEAD))
    deliver_due()
    assert receiver["took"][1] == ("item.decided", item.pk)


def test_many_messages_of_one_item_go_out_in_one_round(receiver: dict[str, Any]) -> None:
    Webhook.objects.update(url=receiver["url"])
    person, item = make_user(), make_item()
    for _ in range(4):
        decide(person, "unharmful")
        undo_last(reviewer=person)
    assert deliver_due(limit=3) is True
    while deliver_due(limit=3):
        pass
    assert receiver["took"] == [("item.decided", item.pk), ("item.decision_changed", item.pk)] * 4
