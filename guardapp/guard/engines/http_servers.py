"""HTTP requests to several servers of the same guard.

The least busy healthy server is used; a server that failed rests for a while.
"""

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from guardapp.guard.protocol import EngineError

MODELS = "/v1/models"
TRIES = 6
# before a retry, doubled each time; the actual pause is a random share of it
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
# A failed server is not used for this long, unless all servers rest.
REST_S = 5.0
CONNECT_TIMEOUT_S, LIST_TIMEOUT_S = 10.0, 10.0
AGAIN = {408, 425, 429, 500, 502, 503, 504}  # statuses for which a retry may succeed
# uvicorn closes idle connections after five seconds; close ours before that
CONNECTIONS = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=3.0)

# httpx2 logs a line for each request, which would flood the log of an evaluation
logging.getLogger("httpx2").setLevel(logging.WARNING)


class ServerUnreachable(EngineError):
    """No guard server responds."""


class ServerRefused(EngineError):
    """The guard server rejected the request."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TryAgain(Exception):
    """The server answered with a status that allows a retry."""


class _NoAnswer(Exception):
    """One server did not answer; the message says which one and why."""


# a retry, or another server, may succeed
TRANSIENT = (httpx2.RequestError, TryAgain)


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
        self._client = httpx2.Client(
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {self.key}"} if self.key else {}),
            limits=CONNECTIONS,
            verify=ssl.create_default_context(),
            # ignore proxies set in the environment
            trust_env=False,
        )

    def keep(self, urls: Collection[str]) -> None:
        """Use only these servers from now on."""
        self.servers = [server for server in self.servers if server.url in urls]
        self.urls = [server.url for server in self.servers]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to an available server and return its JSON answer. Raises ServerRefused or ServerUnreachable."""
        tries = Retrying(
            retry=retry_if_exception_type(_NoAnswer),
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(FIRST_PAUSE_S, LONGEST_PAUSE_S),
            sleep=self.pause,
        )
        try:
            return tries(self._post_once, path, body)
        except RetryError as error:
            said = error.last_attempt.exception()
            raise ServerUnreachable(f"{ServerUnreachable.__doc__} The last one said {said}") from said

    def models(self) -> dict[str, dict[str, str]]:
        """Return the served models of each address that answers, as {model name or checkpoint: model name}."""
        found: dict[str, dict[str, str]] = {}
        for server in self.servers:
            try:
                listed = self.ask(server.url, "GET", MODELS, timeout_s=LIST_TIMEOUT_S)
            except (*TRANSIENT, ServerRefused):
                continue
            rows = listed.get("data", [])
            found[server.url] = {
                str(row[name]): str(row["id"]) for row in rows for name in ("root", "id") if row.get(name)
            }
        return found

    def context(self) -> int | None:
        """The least `max_model_len` that the servers tell of a model, in tokens; None if none tells it."""
        known: list[int] = []
        for server in self.servers:
            try:
                listed = self.ask(server.url, "GET", MODELS, timeout_s=LIST_TIMEOUT_S)
            except (*TRANSIENT, ServerRefused):
                continue
            known += [
                row["max_model_len"] for row in listed.get("data", []) if isinstance(row.get("max_model_len"), int)
            ]
        return min(known, default=None)

    def ask(
        self, url: str, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Make one request to one server; {} if the answer is not a JSON object.

        Raises one of `TRANSIENT`, or ServerRefused with the server's message.
        """
        content = None if body is None else json.dumps(body).encode()
        timeout = httpx2.Timeout(timeout_s or self.timeout_s, connect=CONNECT_TIMEOUT_S)
        answer = self._client.request(method, f"{url}{path}", content=content, timeout=timeout)
        if answer.status_code in AGAIN:
            raise TryAgain(f"{answer.status_code} {answer.text[:300]}")
        if answer.status_code != HTTPStatus.OK:
            raise ServerRefused(f"{url} answered {answer.status_code}: {answer.text[:500]}", answer.status_code)
        try:
            found = answer.json()
        except ValueError:
            # vLLM answers in plain text after loading an adapter
            return {}
        return found if isinstance(found, dict) else {}

    def _post_once(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._least_busy() as server:
            try:
                answer = self.ask(server.url, "POST", path, body)
            except TRANSIENT as error:
                server.rests_until = time.monotonic() + REST_S
                raise _NoAnswer(f"{server.url}: {type(error).__name__} {error}") from error
            server.rests_until = 0.0
            return answer

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
