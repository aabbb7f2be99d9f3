"""A picture that a caller names by its https address: fetched from hosts that the operator listed, within time and
size, or not at all.
"""

import http.client
import time
from urllib.parse import SplitResult, urljoin

from django.conf import settings

from annotation.database.pool import release_connection
from annotation.errors import ServiceError
from annotation.outbound.safe_requests import PORTS, AddressNotAllowed, Pinned, address_of, check_url
from guardapp.guard.media.errors import MediaError
from guardapp.guard.media.sniff import HEAD_BYTES, sniff
from guardapp.guard.taxonomy import MediaKind

FETCH_S = 10.0  # for all pictures of one request
MOST_BYTES = 20 * 1024 * 1024
MOST_REDIRECTS = 2
CHUNK = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)


class PictureNotFetched(ServiceError):
    """The picture could not be fetched."""


class HostNotListed(PictureNotFetched):
    """The operator has not listed this host."""


class PictureTooSlow(PictureNotFetched):
    """The other side took too long."""


class PictureTooLarge(PictureNotFetched):
    """The picture is too large."""


class NotAPicture(PictureNotFetched):
    """What came is no picture."""


def fetching_is_on() -> bool:
    return bool(settings.IMAGE_HOSTS)


def fetch_picture(url: str, *, deadline: float) -> bytes:
    """The bytes, until the monotonic `deadline`. Each redirect is checked as the address itself is. Raises
    PictureNotFetched.
    """
    release_connection()
    try:
        for _ in range(1 + MOST_REDIRECTS):
            found = _get(_checked(url), deadline)
            if isinstance(found, bytes):
                return _as_picture(found)
            url = urljoin(url, found)
    except AddressNotAllowed as error:
        raise HostNotListed(str(error)) from error
    except TimeoutError as error:
        raise PictureTooSlow(f"was not there within {FETCH_S:.0f} seconds.") from error
    except (OSError, http.client.HTTPException) as error:
        raise PictureNotFetched(f"cannot be fetched: {type(error).__name__}: {error}"[:300]) from error
    raise PictureNotFetched(f"leads on more than {MOST_REDIRECTS} times.")


def _checked(url: str) -> SplitResult:
    place = check_url(url)
    host = (place.hostname or "").rstrip(".").lower()
    if place.scheme != "https":
        raise HostNotListed("is no https address.")
    if not any(_matches(host, listed.lower()) for listed in settings.IMAGE_HOSTS):
        raise HostNotListed(
            f"is on {host}, which is not among the hosts that pictures are fetched from. Send the picture "
            "as a data: URL."
        )
    return place


def _matches(host: str, listed: str) -> bool:
    """`*`: every public host; `*.example.org`: those below it."""
    return listed in ("*", host) or (listed.startswith("*.") and host.endswith(listed[1:]))


def _get(place: SplitResult, deadline: float) -> bytes | str:
    """The body, or where a redirect leads."""
    host, port = place.hostname or "", place.port or PORTS["https"]
    connection = Pinned(host, port, address_of(host, port), secure=True)
    connection.timeout = _left(deadline)
    try:
        target = (place.path or "/") + (f"?{place.query}" if place.query else "")
        connection.request(
            "GET", target, headers={"Accept": "image/*", "User-Agent": "guardapp", "Accept-Encoding": "identity"}
        )
        answer = connection.getresponse()
        if answer.status in REDIRECTS and answer.headers.get("Location"):
            return answer.headers["Location"]
        if answer.status != http.client.OK:
            raise PictureNotFetched(f"was answered with {answer.status} by {host}.")
        if (answer.length or 0) > MOST_BYTES:
            raise PictureTooLarge(f"has {answer.length:,} bytes, the limit is {MOST_BYTES:,}.")
        return _read(connection, answer, deadline)
    finally:
        connection.close()


def _read(connection: Pinned, answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """A side that sends a byte a second is cut off as one that sends none."""
    parts: list[bytes] = []
    size = 0
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_left(deadline))
        _left(deadline)
        part = answer.read1(CHUNK)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise PictureTooLarge(f"has more than {MOST_BYTES:,} bytes.")


def _as_picture(content: bytes) -> bytes:
    try:
        kind, mime = sniff(content[:HEAD_BYTES])
    except MediaError as error:
        raise NotAPicture(f"is no picture: {error}") from error
    if kind is not MediaKind.IMAGE:
        raise NotAPicture(f"is of type {mime}; only pictures are fetched.")
    return content


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
