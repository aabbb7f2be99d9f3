"""Requests sent to each web server: pages, reviews, moderation and a streamed request."""

import http.client
import json
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GUARD_S = 0.1
DECISION = json.dumps({"kind": "accepted", "prompt_label": "unharmful", "response_label": "unharmful"}).encode()
CONTENT = json.dumps({"contents": [{"prompt": "How do I bake bread?"}], "open_items": False}).encode()


Work = Callable[["Client"], list[float]]


class Client:
    """A persistent connection with an API key."""

    def __init__(self, port: int, key: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def timed(self, method: str, path: str, body: bytes | None, expected: int, **headers: str) -> tuple[float, bytes]:
        began = time.perf_counter()
        self.connection.request(method, path, body, self.headers | headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == expected, (path, answer.status, content[:300])
        return time.perf_counter() - began, content


def health(client: Client) -> list[float]:
    return [client.timed("GET", "/healthz", None, 200)[0]]


def review(client: Client) -> list[float]:
    taken, lease = client.timed("POST", "/api/v1/queues/default/next", None, 200)
    path = f"/api/v1/assignments/{json.loads(lease)['token']}/submit"
    sent, _ = client.timed("POST", path, DECISION, 201, **{"Idempotency-Key": uuid.uuid4().hex})
    return [taken, sent]


def moderate(client: Client) -> list[float]:
    return [client.timed("POST", "/api/v1/moderate", CONTENT, 200)[0]]


def load(port: int, keys: list[str], work: Work, clients: int, seconds: float) -> dict[str, float]:
    """Requests per second and p95 in milliseconds for this number of clients."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    def one(number: int) -> None:
        client = Client(port, keys[number % len(keys)])
        while time.perf_counter() < until:
            taken.extend(work(client))
        client.connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(taken) / (time.perf_counter() - began)
    return {"per_s": round(rate, 1), "p95_ms": round(statistics.quantiles(taken, n=20)[18] * 1_000, 1)}


def streams(port: int, key: str) -> bool:
    """Whether a streamed request is answered before it is complete."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        head = (
            f"POST /api/v1/moderate/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        line.sendall(head.encode())
        for piece in ({"prompt": "A story", "every": 50}, {"text": "Once upon a time. " * 4}):
            body = json.dumps(piece).encode() + b"\n"
            line.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        heard = b""
        line.settimeout(3)
        try:
            while b'"action"' not in heard and (part := line.recv(65_536)):
                heard += part
        except TimeoutError:
            return False
        return b'"action"' in heard


@contextmanager
def canned_guard() -> Iterator[str]:
    from annotation.moderation.guard_wire import GuardAnswer
    from guardapp.guard.judging import Judged
    from guardapp.guard.taxonomy import Harmfulness
    from guardapp.guard.verdict import Judgement, Rollout, Verdict

    judgement = Judgement(("It asks for bread.",), Verdict(Harmfulness.UNHARMFUL))
    answer = GuardAnswer(Judged(Rollout("…", judgement, 20, True, 0.01, None), ()), "starter")
    body = json.dumps({"answers": [answer.as_json()]}).encode()

    class Guard(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(GUARD_S)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Guard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
