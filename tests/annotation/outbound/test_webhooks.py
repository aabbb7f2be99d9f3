"""Messages to the outside: written with what they tell of, signed, sent until they are taken, never to where they must
not go.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from annotation.models import Delivery, Event, Webhook
from annotation.outbound import safe_requests
from annotation.outbound.safe_requests import NotDelivered, post
from annotation.outbound.webhooks import PAUSES_S, announce, deliver_due, replay, save_webhook
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import DeliveryState, EventKind, ReviewKind, Role, WebhookEvent
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


@dataclass
class Receiver:
    """A real server on this machine that answers with the next of `statuses`, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    trickles: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.WEBHOOKS_PRIVATE = True
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.got.append(
                (
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers["Content-Length"])),
                )
            )
            status = made.statuses.pop(0) if made.statuses else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "4")
            self.end_headers()
            try:
                for character in b"said":
                    self.wfile.write(bytes([character]))
                    time.sleep(0.5 if made.trickles else 0)
            except OSError:  # the caller has had enough
                pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.url = f"http://127.0.0.1:{http.server_port}/hook?a=1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        http.shutdown()
        thread.join()


def hook(url: str, *events: WebhookEvent) -> Webhook:
    return save_webhook(
        webhook=Webhook(name="Platform", url=url, events=[event.value for event in events or WebhookEvent]),
        actor=make_user(Role.LEAD),
    )


def due_again() -> Delivery:
    delivery = Delivery.objects.get()
    # the database's clock may be a little behind ours
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    return delivery


def test_a_decision_is_sent_with_its_verdict_and_a_signature_that_can_be_checked(receiver: Receiver) -> None:
    webhook = hook(receiver.url)
    item, reviewer = make_item(), make_user()
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert held is not None
    submit_review(
        reviewer=reviewer,
        token=held.token,
        idempotency_key="a-key-of-its-own",
        decision=Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL),
    )
    deliver_due()
    [(headers, body)] = receiver.got
    message = json.loads(body)
    told = message["data"]
    assert message["type"] == "item.decided"
    assert (told["item"], told["external_id"], told["prompt_label"]) == (item.pk, item.external_id, "unharmful")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    assert (
        headers["webhook-signature"]
        == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    )
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status_code, str(delivery.message)) == (
        DeliveryState.DELIVERED,
        200,
        headers["webhook-id"],
    )


def test_what_did_not_happen_is_not_sent(receiver: Receiver) -> None:
    hook(receiver.url)
    with pytest.raises(RuntimeError), transaction.atomic():
        announce(event=WebhookEvent.DECIDED, payload={})
        raise RuntimeError
    assert not Delivery.objects.exists()


def test_only_subscribers_of_an_event_are_notified(receiver: Receiver) -> None:
    hook(receiver.url, WebhookEvent.PROMOTED)
    off = hook(receiver.url)
    off.active = False
    off.save()
    announce(event=WebhookEvent.RUN_FINISHED, payload={})
    assert not Delivery.objects.exists()


def test_a_message_that_is_not_taken_is_tried_again_later_and_later_then_fails(receiver: Receiver) -> None:
    hook(receiver.url)
    announce(event=WebhookEvent.DECIDED, payload={"item": 1})
    receiver.statuses = [500] * (len(PAUSES_S) + 1)
    for attempt, pause in enumerate(PAUSES_S, 1):
        before = timezone.now()
        deliver_due()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.attempts, delivery.error) == (
            DeliveryState.WAITING,
            attempt,
            "It answered 500: said",
        )
        assert timedelta(seconds=0.8 * pause) <= delivery.due_at - before <= timedelta(seconds=1.2 * pause + 5)
        deliver_due()  # not due yet
        assert len(receiver.got) == attempt
        due_again()
    deliver_due()
    assert Delivery.objects.get().state == DeliveryState.FAILED
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_a_message_can_be_sent_again_under_its_own_id(receiver: Receiver) -> None:
    hook(receiver.url)
    announce(event=WebhookEvent.DECIDED, payload={"item": 1})
    deliver_due()
    replay(delivery=Delivery.objects.get(), actor=make_user(Role.LEAD))
    deliver_due()
    assert len(receiver.got) == 2 and receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
    assert Event.objects.filter(kind=EventKind.WEBHOOK_REPLAYED).count() == 1


def test_a_message_that_a_dead_worker_held_is_sent_when_the_hold_ends(receiver: Receiver) -> None:
    hook(receiver.url)
    announce(event=WebhookEvent.DECIDED, payload={})
    # as the worker left it
    Delivery.objects.update(due_at=timezone.now() + timedelta(minutes=1), attempts=1)
    deliver_due()
    assert receiver.got == []
    due_again()
    deliver_due()
    assert len(receiver.got) == 1


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    hook(receiver.url)
    announce(event=WebhookEvent.DECIDED, payload={})
    receiver.statuses = [302]
    deliver_due()
    assert (
        len(receiver.got) == 1
        and Delivery.objects.get().status_code == 302
        and Delivery.objects.get().state == DeliveryState.WAITING
    )


def test_a_receiver_that_trickles_its_answer_is_left_at_the_deadline(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_requests, "TIMEOUT_S", 0.7)
    receiver.trickles = True
    began = time.monotonic()
    with pytest.raises(NotDelivered, match="TimeoutError"):
        post(receiver.url, b"{}", {})
    assert time.monotonic() - began < 1.7


@pytest.fixture
def lead() -> Client:
    client = Client()
    client.force_login(make_user(Role.LEAD))
    return client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/webhooks/"),
        ("post", "/webhooks/"),
        ("get", "/webhooks/1/"),
        ("post", "/webhooks/1/act/"),
        ("post", "/webhooks/deliveries/1/replay/"),
    ],
)
def test_only_leads_see_webhooks(method: str, path: str) -> None:
    client = Client()
    client.force_login(make_user())
    assert getattr(client, method)(path).status_code == 403


def test_a_lead_makes_a_webhook_sees_what_was_sent_and_sends_it_again(lead: Client, receiver: Receiver) -> None:
    fields = {"name": "Platform", "url": receiver.url, "events": ["item.decided"]}
    page = lead.post("/webhooks/", fields).text
    webhook = Webhook.objects.get()
    assert webhook.secret.replace("+", "&#x2B;") in page or webhook.secret in page
    assert webhook.secret not in lead.get("/webhooks/").text
    announce(event=WebhookEvent.DECIDED, payload={"item": 7})
    deliver_due()
    assert "Delivered" in lead.get(f"/webhooks/{webhook.pk}/").text
    assert lead.post(f"/webhooks/deliveries/{Delivery.objects.get().pk}/replay/").status_code == 302
    assert Delivery.objects.count() == 2
    lead.post(f"/webhooks/{webhook.pk}/act/", {"act": "off"})
    assert not Webhook.objects.get().active
    lead.post(f"/webhooks/{webhook.pk}/act/", {"act": "delete"})
    assert not Webhook.objects.exists() and not Delivery.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://127.0.0.1/"}, "private network"),
        ({"events": []}, "at least one event"),
        ({"url": "nowhere"}, "valid URL"),
    ],
)
def test_a_webhook_that_cannot_work_comes_back_with_the_problem(
    lead: Client, change: dict[str, Any], words: str
) -> None:
    answer = lead.post(
        "/webhooks/", {"name": "Platform", "url": "https://example.org/", "events": ["item.decided"]} | change
    )
    assert answer.status_code == 422 and words in answer.text and not Webhook.objects.exists()
