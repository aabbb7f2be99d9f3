"""Requests to addresses that people typed in: never to this machine or its network, unless the installation allows it.

Webhooks are posted here; annotation.media.fetch reads pictures over the same connections.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from annotation.errors import ServiceError

TIMEOUT_S = 10.0
MOST_READ_BYTES = 4_096
PORTS = {"http": 80, "https": 443}


class AddressNotAllowed(ServiceError):
    """This address cannot be called."""


class NotDelivered(ServiceError):
    """The other side could not be reached."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and the first bytes of what the other side said."""

    status: int
    text: str


def check_url(url: str) -> SplitResult:
    """The parts of an address that may be called, as far as it can be checked without a DNS lookup. Raises
    AddressNotAllowed.
    """
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError as error:
        raise AddressNotAllowed(_("%(url)s is no address.") % {"url": url}) from error
    if place.scheme not in PORTS or not place.hostname:
        raise AddressNotAllowed(_("%(url)s is no http or https address.") % {"url": url})
    if place.username or place.password or port == 0:
        raise AddressNotAllowed(_("An address has no user name and no password."))
    try:
        literal = ipaddress.ip_address(place.hostname)
    except ValueError:
        return place
    _refuse_private(literal)
    return place


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One POST; redirects are not followed. The name is looked up once and what was checked is what is called.

    Raises AddressNotAllowed, NotDelivered.
    """
    place = check_url(url)
    deadline = time.monotonic() + TIMEOUT_S
    port = place.port or PORTS[place.scheme]
    try:
        connection = Pinned(
            place.hostname or "", port, address_of(place.hostname or "", port), secure=place.scheme == "https"
        )
        try:
            target = (place.path or "/") + (f"?{place.query}" if place.query else "")
            connection.request("POST", target, body, {**headers})
            connection.sock.settimeout(max(0.1, deadline - time.monotonic()))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(MOST_READ_BYTES).decode(errors="replace"))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}"[:300]) from error


def address_of(host: str, port: int) -> str:
    """One of the host's addresses, all of which must be allowed: a name that also leads inside is not called at all."""
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        _refuse_private(ipaddress.ip_address(address.partition("%")[0]))
    return found[0]


def _refuse_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = address.ipv4_mapped or address.sixtofour if isinstance(address, ipaddress.IPv6Address) else None
    if settings.WEBHOOKS_PRIVATE:
        return
    if not address.is_global or address.is_multicast or (inner is not None and not inner.is_global):
        raise AddressNotAllowed(
            _(
                "%(address)s is an address of a private network. The operator can allow those: "
                "GUARDAPP_WEBHOOKS_PRIVATE."
            )
            % {"address": address}
        )


class Pinned(http.client.HTTPConnection):
    """To an address that was checked, under the name that it was found by: that name is in the Host header and in the
    certificate.
    """

    def __init__(self, host: str, port: int, address: str, *, secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self.default_port = PORTS["https" if secure else "http"]
        self.address = address
        self.secure = secure

    def connect(self) -> None:
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host) if self.secure else plain
