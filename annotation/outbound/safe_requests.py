"""Requests to user-supplied URLs: never to this machine or its network, unless the installation allows it.

Webhooks are posted here; annotation.media.fetch downloads pictures over the same connections.
"""

import ipaddress
import queue
import socket
import ssl
import string
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import httpcore2
from django.conf import settings
from django.utils.translation import gettext as _

from annotation.errors import ServiceError
from annotation.outbound.addresses import Address, is_metadata, is_port, is_public, literal_of

TIMEOUT_S = 10.0
MOST_READ_BYTES = 4_096
PORTS = {"http": 80, "https": 443}


class AddressNotAllowed(ServiceError):
    """This address cannot be called."""


class NotDelivered(ServiceError):
    """The other side could not be reached."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the first bytes of a response body."""

    status: int
    text: str


def check_url(url: str) -> SplitResult:
    """Parse a URL that may be called, as far as can be checked without a DNS lookup. Raises AddressNotAllowed."""
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError as error:
        raise AddressNotAllowed(_("%(url)s is no address.") % {"url": url}) from error
    if place.scheme not in PORTS or not place.hostname:
        raise AddressNotAllowed(_("%(url)s is no http or https address.") % {"url": url})
    if "@" in place.netloc:
        raise AddressNotAllowed(_("An address has no user name and no password."))
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise AddressNotAllowed(_("%(url)s is no address.") % {"url": url})
    if port is not None and not is_port(port):
        words = _("Port %(port)s is not one of the web. Use 80, 443, or one from 1024.")
        raise AddressNotAllowed(words % {"port": port})
    if (literal := literal_of(_ascii_name(place))) is not None:
        _refuse_private(literal)
    return place


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send one POST without following redirects. Raises AddressNotAllowed, NotDelivered."""
    deadline = time.monotonic() + TIMEOUT_S
    text = b""
    try:
        with request("POST", check_url(url), headers, body, deadline=deadline) as answer:
            for part in answer.iter_stream():
                text += part
                if len(text) >= MOST_READ_BYTES:
                    break
    except OSError as error:
        raise NotDelivered(f"{type(error).__name__}: {error}"[:300]) from error
    return Answer(answer.status, text[:MOST_READ_BYTES].decode(errors="replace"))


@contextmanager
def request(
    method: str, place: SplitResult, headers: Mapping[str, str], body: bytes | None = None, *, deadline: float
) -> Iterator[httpcore2.Response]:
    """Yield the response; read its body with `iter_stream`. Everything must finish before the monotonic `deadline`.

    The host name is resolved once, and the request goes to the address that was checked. Raises AddressNotAllowed,
    TimeoutError or another OSError, also while the body is read.
    """
    secure = place.scheme == "https"
    backend = _CheckedBackend(deadline)
    context = ssl.create_default_context() if secure else None
    try:
        with (
            httpcore2.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
            pool.stream(method, _url(place), headers=_with_host(headers, place), content=body) as answer,
        ):
            yield answer
    except httpcore2.TimeoutException as error:
        raise TimeoutError(str(error)) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise ConnectionError(str(error)) from error


def _url(place: SplitResult) -> httpcore2.URL:
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    return httpcore2.URL(
        scheme=place.scheme,
        host=_ascii_name(place),
        port=place.port or PORTS[place.scheme],
        target=quote(target, safe=string.punctuation),
    )


def _with_host(headers: Mapping[str, str], place: SplitResult) -> list[tuple[str, str]]:
    name = _ascii_name(place)
    port = f":{place.port}" if place.port and place.port != PORTS[place.scheme] else ""
    return [("Host", (f"[{name}]" if ":" in name else name) + port), *headers.items()]


def _ascii_name(place: SplitResult) -> str:
    try:
        return (place.hostname or "").encode("idna").decode()
    except UnicodeError as error:
        raise AddressNotAllowed(_("%(url)s is no address.") % {"url": place.geturl()}) from error


def address_of(host: str, port: int, deadline: float | None = None) -> str:
    """One of the host's addresses. All must be allowed: a host that also resolves to an internal one is refused.

    Raises AddressNotAllowed, OSError; TimeoutError if the names' servers do not answer before the deadline.
    """
    found = _addresses(host, port, deadline)
    for address in found:
        _refuse_private(ipaddress.ip_address(address.partition("%")[0]))
    return found[0]


def _addresses(host: str, port: int, deadline: float | None) -> list[str]:
    # getaddrinfo knows no deadline, so it is asked in a thread of its own
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put([str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=None if deadline is None else _left(deadline))
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if isinstance(found, UnicodeError):
        raise ConnectionError(str(found)) from found
    if isinstance(found, OSError):
        raise found
    return found


def _refuse_private(address: Address) -> None:
    if is_metadata(address):
        raise AddressNotAllowed(
            _("%(address)s belongs to the cloud that this machine may run in, and is never called.")
            % {"address": address}
        )
    if not settings.WEBHOOKS_PRIVATE and not is_public(address):
        raise AddressNotAllowed(
            _(
                "%(address)s is an address of a private network. The operator can allow those: "
                "GUARDAPP_WEBHOOKS_PRIVATE."
            )
            % {"address": address}
        )


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects only to a checked address. The Host header and the certificate check still use the host name."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        address = address_of(host, port, self.deadline)
        stream = self.plain.connect_tcp(address, port, _left(self.deadline), local_address, socket_options)
        return _TimedStream(stream, self.deadline)


class _TimedStream(httpcore2.NetworkStream):
    """Reads and writes until the deadline, so that a peer sending one byte per second is cut off too."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self.stream = stream
        self.deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, _left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, _left(self.deadline))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self.stream.start_tls(ssl_context, server_hostname, _left(self.deadline))
        return _TimedStream(stream, self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
