"""Which addresses the product calls, and which it never does."""

import socket

import pytest

from annotation.models import Delivery
from annotation.outbound.safe_requests import AddressNotAllowed, NotDelivered, check_url, post
from annotation.outbound.webhooks import announce, deliver_due
from annotation.status import DeliveryState, WebhookEvent
from tests.annotation.outbound.test_webhooks import hook

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8000/",
        "https://10.1.2.3/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://100.64.0.1/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
    ],
)
def test_this_machine_and_its_network_are_never_called(url: str) -> None:
    with pytest.raises((AddressNotAllowed, NotDelivered)) as refused:
        post(url, b"{}", {})
    assert isinstance(refused.value, AddressNotAllowed) or "gai" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "file:///etc/passwd", "https://", "https://user:pass@example.org/", "http://a:b/", "x"],
)
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        check_url(url)


def test_a_name_that_leads_inside_is_refused_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up by the call itself; one of its addresses is private, so none is called."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    webhook = hook("https://hooks.example.org/")
    announce(event=WebhookEvent.DECIDED, payload={})
    deliver_due()
    delivery = Delivery.objects.get(webhook=webhook)
    assert delivery.state == DeliveryState.FAILED and "10.0.0.1 is an address of a private network" in delivery.error
