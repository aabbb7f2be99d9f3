"""The HTTP server of the guard process, for private use: on the owner's Unix socket or a private network."""

import logging
import socket
import socketserver
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import orjson

from annotation.moderation.callers import has_left
from annotation.moderation.guard_client import AWAY_RETRY_S, ContentNotReadable
from annotation.moderation.guard_process import Guarding
from annotation.moderation.guard_wire import HEALTH, JUDGE, LEAVE, RETRY_AFTER, JudgeRequest
from annotation.predictions.predict import ENGINE_FAILURES
from annotation.predictions.shared_device import DeviceInTraining
from guardapp.guard.batching import Abandoned, QueueFull, Stopped, TooLate
from guardapp.tracing import span

logger = logging.getLogger(__name__)


class GuardServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A threaded HTTP server. `address` is the path of a Unix socket, or (host, port)."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: Path | tuple[str, int], guarding: Guarding) -> None:
        self.guarding = guarding
        self._open: set[socket.socket] = set()
        if isinstance(address, Path):
            self.address_family = socket.AF_UNIX
            address.unlink(missing_ok=True)
            super().__init__(str(address), _Handler)  # type: ignore[arg-type]  # Unix socket addresses are paths
            address.chmod(0o600)
        else:
            super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the server and its kept-alive connections, after requests in progress are answered or refused."""
        super().server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:  # the caller has disconnected
                pass


class _Handler(BaseHTTPRequestHandler):
    server: GuardServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # buffered, so that headers and body are sent together

    def do_GET(self) -> None:
        if self.path == HEALTH:
            self._respond(HTTPStatus.OK, asdict(self.server.guarding.health()))
        else:
            self._respond(HTTPStatus.NOT_FOUND, {"detail": "There is nothing here."})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == LEAVE:
            self.server.guarding.leave(str(orjson.loads(body)["id"]))
            self._respond(HTTPStatus.OK, {})
            return
        if self.path != JUDGE:
            self._respond(HTTPStatus.NOT_FOUND, {"detail": "There is nothing here."})
            return
        try:
            with span("judge", dict(self.headers)):
                answers = self.server.guarding.judge(
                    JudgeRequest.of(orjson.loads(body)), gone=lambda: has_left(self.connection)
                )
        except ContentNotReadable as error:
            self._respond(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                {
                    "detail": str(error),
                    "content": error.content,
                    "medium": error.medium,
                    "tokens": error.tokens,
                    "limit": error.limit,
                },
            )
        except Abandoned as error:
            self._respond(HTTPStatus.GONE, {"detail": str(error)}, AWAY_RETRY_S)
        except QueueFull as error:
            self._respond(HTTPStatus.TOO_MANY_REQUESTS, {"detail": str(error)}, error.retry_after_s)
        except TooLate as error:
            self._respond(HTTPStatus.GATEWAY_TIMEOUT, {"detail": str(error)}, AWAY_RETRY_S)
        except DeviceInTraining as error:
            self._respond(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": str(error)}, error.retry_after_s)
        except Stopped as error:
            self._respond(
                HTTPStatus.SERVICE_UNAVAILABLE, {"detail": str(error) or "The guard is stopping."}, AWAY_RETRY_S
            )
        except ENGINE_FAILURES as error:
            logger.exception("The guard could not judge")
            self._respond(
                HTTPStatus.SERVICE_UNAVAILABLE,
                {"detail": f"The guard could not judge this: {type(error).__name__}."},
                AWAY_RETRY_S,
            )
        else:
            self._respond(HTTPStatus.OK, {"answers": [answer.as_json() for answer in answers]})

    def address_string(self) -> str:
        return "unix" if self.server.address_family == socket.AF_UNIX else super().address_string()

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)

    def _respond(self, status: HTTPStatus, content: dict[str, Any], retry_after_s: float | None = None) -> None:
        body = orjson.dumps(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after_s is not None:
            self.send_header(RETRY_AFTER, f"{retry_after_s:.0f}")
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except ConnectionError:
            # the caller has left
            self.close_connection = True
