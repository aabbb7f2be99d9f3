"""Client of the guard process (`manage.py serve_guard`), over HTTP on a private Unix socket or to another machine."""

import logging
import socket
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx2
import orjson
from django.conf import settings
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from annotation.errors import ServiceError
from annotation.moderation.callers import Watch
from annotation.moderation.guard_wire import HEALTH, JUDGE, LEAVE, RETRY_AFTER, GuardAnswer, JudgeRequest
from guardapp.tracing import carried

logger = logging.getLogger(__name__)

GRACE_S = 2.0  # added to the deadline, so that the guard can report a timeout itself
AWAY_RETRY_S = 5.0
HEALTH_S = 2.0
# connections are kept open, since each new one costs the guard process a thread
CONNECTIONS = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
# errors on a kept connection that the guard has since closed
DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)


class GuardNotReady(ServiceError):
    """The guard cannot answer now. Ask again in a while."""

    def __init__(self, message: str = "", retry_after_s: float = AWAY_RETRY_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GuardBusy(GuardNotReady):
    """More content is waiting for the guard than it can judge in time."""


class GuardTooSlow(GuardNotReady):
    """The guard did not answer before the deadline."""


class CallerLeft(GuardNotReady):
    """The caller has left, so the guard does not go on."""


class GuardAway(GuardNotReady):
    """The process that holds the guard does not answer."""


REFUSALS: dict[int, type[GuardNotReady]] = {
    HTTPStatus.TOO_MANY_REQUESTS: GuardBusy,
    HTTPStatus.GATEWAY_TIMEOUT: GuardTooSlow,
    HTTPStatus.GONE: CallerLeft,
}


class ContentNotReadable(ServiceError):
    """A content cannot be shown to the guard: a file of it is no media, or all of it is too long.

    `content` and `medium` are places in the request; no medium where the content as a whole is meant. `pointer` is the
    JSON pointer of the medium in its content. `tokens` and `limit` are known of content that is too long.
    """

    def __init__(
        self,
        message: str,
        content: int,
        medium: int | None = None,
        tokens: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(message)
        self.content = content
        self.medium = medium
        self.pointer = "" if medium is None else f"/media/{medium}"
        self.tokens = tokens
        self.limit = limit

    @property
    def counts(self) -> dict[str, int | None] | None:
        return None if self.tokens is None else {"tokens": self.tokens, "limit": self.limit}


def call_guard(request: JudgeRequest, caller: socket.socket | None = None) -> list[GuardAnswer]:
    """Return the answers in the order of the contents. If the `caller` hangs up, the guard ends its work.

    Raises GuardNotReady and subclasses, ContentNotReadable.
    """
    try:
        with _watch.over(request.id, caller):
            answer = _ask("POST", JUDGE, orjson.dumps(request.as_json()), request.seconds + GRACE_S)
    except httpx2.TimeoutException as error:
        raise GuardTooSlow from error
    except httpx2.RequestError as error:
        raise GuardAway from error
    body = orjson.loads(answer.content)
    if answer.status_code == HTTPStatus.OK:
        return [GuardAnswer.of(one) for one in body["answers"]]
    if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise ContentNotReadable(body["detail"], body["content"], body["medium"], body["tokens"], body["limit"])
    kind = REFUSALS.get(answer.status_code, GuardNotReady)
    raise kind(body["detail"], float(answer.headers.get(RETRY_AFTER) or AWAY_RETRY_S))


def guard_health() -> dict[str, Any] | None:
    """Return {"loaded", "version", "waiting"} of the guard process; None if it does not answer."""
    try:
        answer = _ask("GET", HEALTH, None, HEALTH_S)
    except httpx2.RequestError:
        return None
    return orjson.loads(answer.content) if answer.status_code == HTTPStatus.OK else None


def _leave(id: str) -> None:
    """Tell the guard that nobody waits for this request."""
    try:
        _ask("POST", LEAVE, orjson.dumps({"id": id}), HEALTH_S)
    except httpx2.RequestError as error:
        logger.warning("The guard could not be told that a caller has left: %s", error)


_watch = Watch(_leave)


def hang_up() -> None:
    """Close this process's connections to the guard."""
    _guard().close()
    _client.cache_clear()


@retry(retry=retry_if_exception_type(DROPPED), stop=stop_after_attempt(2), reraise=True)
def _ask(method: str, path: str, body: bytes | None, timeout: float) -> httpx2.Response:
    """Send a request. `timeout`, in seconds, applies to connecting and to each read and write. Raises RequestError."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    return _guard().request(method, path, content=body, headers=headers | carried(), timeout=timeout)


def _guard() -> httpx2.Client:
    return _client(settings.GUARD_URL, str(settings.GUARD_SOCKET))


@cache
def _client(url: str, socket: str) -> httpx2.Client:
    """Return the process-wide client, whose connections are shared by all threads."""
    transport = httpx2.HTTPTransport(
        uds=None if url else socket, limits=CONNECTIONS, verify=url.startswith("https:"), trust_env=False
    )
    return httpx2.Client(base_url=url or "http://guard", transport=transport, trust_env=False)
