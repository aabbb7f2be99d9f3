"""The product's own web server under a path of its host, with a person and three items; and a proxy that strips it."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.paths import ROOT

USER, PASSWORD = "ann", "a long test passphrase"
SEED = f"""
import django
django.setup()
from django.core.management import call_command
from annotation.models import User
from tests.browser import scene
call_command("collectstatic", verbosity=0, interactive=False)
User.objects.create_user("{USER}", password="{PASSWORD}", role="lead")
scene.text_item(priority=2.0), scene.image_item(priority=1.0), scene.text_item()
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[int]:
    """The port of a server on this data folder, whose database is migrated and which gets its rows here."""
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    environment |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings", **settings}
    environment.pop("DATABASE_URL", None)
    subprocess.run([sys.executable, "-c", SEED], cwd=ROOT, env=environment, check=True)
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "4", "--no-control-socket", "--log-level", "warning"]
    command = [sys.executable, "-m", "gunicorn", "guardapp.wsgi", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def proxy(port: int, path: str) -> Iterator[int]:
    """A reverse proxy that serves `path`, and only it, and passes requests on without it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            if not self.path.startswith(f"{path}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            upstream.request(self.command, self.path.removeprefix(path), body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_POST = do_HEAD = pass_on

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
