"""Asking the process that holds the guard (`manage.py serve_guard`): HTTP over a private unix socket, or to another
machine.
"""

import http.client
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from annotation.errors import ServiceError
from annotation.moderation.guard_wire import HEALTH, JUDGE, RETRY_AFTER, GuardAnswer, JudgeRequest
from guardapp.tracing import carried

GRACE_S = 2.0  # beyond the deadline, so that the guard says itself that it is late
AWAY_RETRY_S = 5.0
HEALTH_S = 2.0


class GuardNotReady(ServiceError):
    """The guard cannot answer now. Ask again in a while."""

    def __init__(self, message: str = "", retry_after_s: float = AWAY_RETRY_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GuardBusy(GuardNotReady):
    """More content is waiting for the guard than it can judge in time."""


class GuardTooSlow(GuardNotReady):
    """The guard did not answer before the deadline."""


class GuardAway(GuardNotReady):
    """The process that holds the guard does not answer."""


class ContentNotReadable(ServiceError):
    """A file cannot be shown to the guard; `content` and `medium` say which one, by their place."""

    def __init__(self, message: str, content: int, medium: int) -> None:
        super().__init__(message)
        self.content = content
        self.medium = medium


def call_guard(request: JudgeRequest) -> list[GuardAnswer]:
    """In the order of the contents. Raises GuardNotReady and its kinds, ContentNotReadable."""
    try:
        status, headers, body = _exchange("POST", JUDGE, orjson.dumps(request.as_json()), request.seconds + GRACE_S)
    except TimeoutError as error:
        raise GuardTooSlow from error
    except (OSError, http.client.HTTPException) as error:
        raise GuardAway from error
    if status == http.client.OK:
        return [GuardAnswer.of(answer) for answer in body["answers"]]
    if status == http.client.UNPROCESSABLE_ENTITY:
        raise ContentNotReadable(body["detail"], body["content"], body["medium"])
    kind = {http.client.TOO_MANY_REQUESTS: GuardBusy, http.client.GATEWAY_TIMEOUT: GuardTooSlow}.get(
        status, GuardNotReady
    )
    raise kind(body["detail"], float(headers.get(RETRY_AFTER) or AWAY_RETRY_S))


def guard_health() -> dict[str, Any] | None:
    """{"loaded", "version", "waiting"} of the serving process; None where it does not answer."""
    try:
        status, _, body = _exchange("GET", HEALTH, None, HEALTH_S)
    except (OSError, http.client.HTTPException):
        return None
    return body if status == http.client.OK else None


# each thread's connection: a new one for every request costs the guard's process a thread
_kept = threading.local()


def _exchange(method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, Any, dict[str, Any]]:
    """Raises OSError, HTTPException. The guard may have closed a connection that was kept: then a new one is tried,
    once.
    """
    connection: http.client.HTTPConnection | None = getattr(_kept, "connection", None)
    if connection is not None and _kept.place == _place():
        try:
            return _asked(connection, method, path, body, timeout)
        except (ConnectionError, http.client.RemoteDisconnected):
            pass
    hang_up()
    _kept.connection, _kept.place = _connection(timeout), _place()
    return _asked(_kept.connection, method, path, body, timeout)


def hang_up() -> None:
    """Close this thread's connection, if it keeps one."""
    if (connection := getattr(_kept, "connection", None)) is not None:
        connection.close()
        _kept.connection = None


def _asked(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, timeout: float
) -> tuple[int, Any, dict[str, Any]]:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.timeout = timeout
    try:
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request(method, path, body, headers | carried())
        answer = connection.getresponse()
        content: dict[str, Any] = orjson.loads(answer.read())
    except BaseException:
        hang_up()  # a late answer shall not be taken for that of the next request
        raise
    return answer.status, answer.headers, content


def _place() -> str:
    return settings.GUARD_URL or str(settings.GUARD_SOCKET)


def _connection(timeout: float) -> http.client.HTTPConnection:
    if not settings.GUARD_URL:
        return _SocketConnection(_place(), timeout)
    place = urlsplit(_place())
    return http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
