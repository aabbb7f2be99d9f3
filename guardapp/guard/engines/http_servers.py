"""HTTP requests to several servers of the same guard.

The least busy healthy server is used; a server that failed rests for a while.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from guardapp.guard.protocol import EngineError

TRIES = 6
# before a retry; the actual pause is a random share of it
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
# A failed server is not used for this long, unless all servers rest.
REST_S = 5.0
AGAIN = {408, 425, 429, 500, 502, 503, 504}  # statuses for which a retry may succeed


class ServerUnreachable(EngineError):
    """No guard server responds."""


class ServerRefused(EngineError):
    """The guard server rejected the request."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _TryAgain(Exception):
    """The server answered with a status that allows a retry."""


TRANSIENT = (_TryAgain,)


@dataclass(slots=True)
class Server:
    """One address. `busy` counts running requests; `rests_until` is a time.monotonic() value."""

    url: str
    busy: int = 0
    rests_until: float = 0.0


@dataclass
class Servers:
    """The servers of one guard. Thread-safe. `timeout_s` applies to one request."""

    urls: Sequence[str]
    timeout_s: float = 600.0
    key: str = ""
    pause: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.servers = [Server(url.rstrip("/")) for url in self.urls]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to an available server and return its JSON answer. Raises ServerRefused or ServerUnreachable."""
        said = ""
        for attempt in range(TRIES):
            if attempt:
                self.pause(random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)))
            with self._least_busy() as server:
                try:
                    answer = exchange(server.url, "POST", path, body, timeout_s=self.timeout_s, key=self.key)
                except (OSError, http.client.HTTPException, _TryAgain) as error:
                    said = f"{server.url}: {type(error).__name__} {error}"
                    server.rests_until = time.monotonic() + REST_S
                else:
                    server.rests_until = 0.0
                    return answer
        raise ServerUnreachable(f"{ServerUnreachable.__doc__} The last one said {said}")

    def models(self) -> dict[str, dict[str, str]]:
        """Return the served models of each address that answers, as {model name or checkpoint: model name}."""
        found: dict[str, dict[str, str]] = {}
        for server in self.servers:
            try:
                listed = exchange(server.url, "GET", "/v1/models", None, timeout_s=10.0, key=self.key)
            except (OSError, http.client.HTTPException, _TryAgain, ServerRefused):
                continue
            rows = listed.get("data", [])
            found[server.url] = {
                str(row[name]): str(row["id"]) for row in rows for name in ("root", "id") if row.get(name)
            }
        return found

    @contextmanager
    def _least_busy(self) -> Iterator[Server]:
        with self._lock:
            now = time.monotonic()
            server = min(self.servers, key=lambda one: (max(0.0, one.rests_until - now), one.busy))
            server.busy += 1
        try:
            yield server
        finally:
            with self._lock:
                server.busy -= 1


def exchange(
    url: str, method: str, path: str, body: dict[str, Any] | None, *, timeout_s: float, key: str = ""
) -> dict[str, Any]:
    """Make one request; {} if the answer is not a JSON object.

    Raises OSError, HTTPException, `TRANSIENT` or ServerRefused, with the server's message.
    """
    place = urlsplit(url)
    make = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = make(place.hostname or "", place.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        connection.request(method, f"{place.path}{path}", None if body is None else json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status in AGAIN:
        raise _TryAgain(f"{answer.status} {content[:300].decode(errors='replace')}")
    if answer.status != http.client.OK:
        raise ServerRefused(f"{url} answered {answer.status}: {content[:500].decode(errors='replace')}", answer.status)
    try:
        found = json.loads(content)
    except ValueError:
        # vLLM answers in plain text after loading an adapter
        return {}
    return found if isinstance(found, dict) else {}
