"""A webhook that can never be delivered is counted, waits longer and longer, and says why."""

import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from annotation.models import Delivery, Webhook
from annotation.outbound.webhooks import PAUSES_S, deliver_due
from annotation.status import DeliveryState, Role, WebhookEvent
from tests.factories import make_user

pytestmark = pytest.mark.django_db
ANSWERS = {
    "a NUL in the body": b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\na\x00b\x00c",
    "no UTF-8 in the body": b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00\xd8",
    "a status of words": b"HTTP/1.1 abc No\r\n\r\n",
    "bytes in the reason": b"HTTP/1.1 500 \xff\xff\r\nContent-Length: 0\r\n\r\n",
    "bytes in a header": b"HTTP/1.1 500 No\r\nX: \xff\x00\r\nContent-Length: 0\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a chunk of no size": b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a thousand headers": b"HTTP/1.1 500 No\r\n" + b"X: y\r\n" * 30_000 + b"\r\n",
    "nothing": b"",
    "noise": bytes(range(256)) * 8,
}
# stored by an earlier release, or by hand
SPOILED: dict[str, dict[str, Any]] = {
    "a path of line separators": {"url": "http://127.0.0.1:9/\u2028\u00e9"},
    "a host of dots": {"url": "http://a..b/"},
    "a host that is too long": {"url": "http://" + "a" * 70 + ".example/"},
    "no address": {"url": "http://[::1"},
    "a secret that is no base64": {"secret": "whsec_a"},
}


@pytest.fixture
def webhook(settings: Settings) -> Webhook:
    settings.WEBHOOKS_PRIVATE = True
    return Webhook.objects.create(name="Platform", url="http://127.0.0.1:9/", events=[WebhookEvent.DECIDED.value])


def tried(webhook: Webhook, tries: int = 2) -> Delivery:
    """A message after so many tries, each of which was due."""
    # the database's clock may be a little behind ours
    before = timezone.now() - timedelta(minutes=1)
    delivery = Delivery.objects.create(
        webhook=webhook, event=WebhookEvent.DECIDED.value, payload={"item": 1}, due_at=before
    )
    for attempt in range(1, tries + 1):
        deliver_due()
        delivery.refresh_from_db()
        assert delivery.error and len(delivery.error) <= 300 and "\x00" not in delivery.error
        if delivery.state == DeliveryState.FAILED:
            return delivery
        pause = (delivery.due_at - timezone.now()).total_seconds()
        assert delivery.attempts == attempt and 0.7 * PAUSES_S[attempt - 1] - 5 < pause < 1.3 * PAUSES_S[attempt - 1]
        Delivery.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    return delivery


def shown(delivery: Delivery) -> str:
    client = Client()
    client.force_login(make_user(Role.LEAD))
    return client.get(reverse("webhook", args=[delivery.webhook_id])).text


@pytest.fixture(params=ANSWERS)
def receiver(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that gives one of the answers, whatever it is asked."""

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            try:
                self.request.sendall(ANSWERS[request.param])
            except OSError:  # the caller has left
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_an_answer_that_nobody_can_read_counts_as_a_try(receiver: int, webhook: Webhook) -> None:
    Webhook.objects.update(url=f"http://127.0.0.1:{receiver}/")
    assert tried(webhook).state == DeliveryState.WAITING
    assert "Platform" in shown(Delivery.objects.get())


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_webhook_that_cannot_be_called_ends_or_waits(spoiled: str, webhook: Webhook) -> None:
    Webhook.objects.update(**SPOILED[spoiled])
    delivery = tried(webhook)
    assert delivery.state in (DeliveryState.WAITING, DeliveryState.FAILED)
    assert "Platform" in shown(delivery)


def test_a_message_that_no_json_holds_is_given_up_after_the_last_pause(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_delivery: Delivery) -> bytes:
        raise TypeError("Integer exceeds 64-bit range")

    monkeypatch.setattr("annotation.outbound.webhooks.body_of", fails)
    delivery = tried(webhook, len(PAUSES_S))
    deliver_due()
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED and "64-bit" in delivery.error
    assert "64-bit" in shown(delivery)
