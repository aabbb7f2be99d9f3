"""Fetches pictures by https URL, only from hosts listed by the operator and within limits of time and size."""

from http import HTTPStatus
from urllib.parse import SplitResult, urljoin

import httpcore2
from django.conf import settings

from annotation.database.pool import release_connection
from annotation.errors import ServiceError
from annotation.outbound.safe_requests import AddressNotAllowed, check_url, request
from guardapp.guard.media.errors import MediaError
from guardapp.guard.media.sniff import sniff
from guardapp.guard.taxonomy import MediaKind

FETCH_S = 10.0  # for all pictures of one request
MOST_BYTES = 20 * 1024 * 1024
MOST_REDIRECTS = 2
REDIRECTS = (301, 302, 303, 307, 308)
HEADERS = {"Accept": "image/*", "User-Agent": "guardapp", "Accept-Encoding": "identity"}


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
    """Fetch the picture's bytes before `deadline`, a time.monotonic() value. Raises PictureNotFetched.

    Redirects undergo the same checks as the URL.
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
    except OSError as error:
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
    """Match a host against a listed one: `*` is any public host, `*.example.org` any subdomain."""
    return listed in ("*", host) or (listed.startswith("*.") and host.endswith(listed[1:]))


def _get(place: SplitResult, deadline: float) -> bytes | str:
    """Return the body, or the target of a redirect."""
    with request("GET", place, HEADERS, deadline=deadline) as answer:
        headers = {name.lower(): value.decode("latin-1") for name, value in answer.headers}
        if answer.status in REDIRECTS and headers.get(b"location"):
            return headers[b"location"]
        if answer.status != HTTPStatus.OK:
            raise PictureNotFetched(f"was answered with {answer.status} by {place.hostname}.")
        if (length := int(headers.get(b"content-length", 0))) > MOST_BYTES:
            raise PictureTooLarge(f"has {length:,} bytes, the limit is {MOST_BYTES:,}.")
        return _read(answer)


def _read(answer: httpcore2.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_stream():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise PictureTooLarge(f"has more than {MOST_BYTES:,} bytes.")
    return b"".join(parts)


def _as_picture(content: bytes) -> bytes:
    try:
        kind, mime = sniff(content)
    except MediaError as error:
        raise NotAPicture(f"is no picture: {error}") from error
    if kind is not MediaKind.IMAGE and not mime.startswith("image/"):
        raise NotAPicture(f"is of type {mime}; only pictures are fetched.")
    return content
