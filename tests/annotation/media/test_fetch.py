"""Pictures by https address: a real TLS server on this machine, reached only where the operator listed it."""

import http.server
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.ingest.read_media import MediaNotFound, no_files, with_fetching
from annotation.media import fetch as fetching
from annotation.media.fetch import (
    HostNotListed,
    NotAPicture,
    PictureNotFetched,
    PictureTooLarge,
    PictureTooSlow,
    fetch_picture,
)
from annotation.models import Item
from annotation.status import ApiScope
from tests.annotation.conftest import KeyedClient

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            str(key),
            "-out",
            str(made),
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )
    return made, key


@pytest.fixture
def host(
    certificate: tuple[Path, Path], png: bytes, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """https://localhost:PORT, listed, its certificate trusted, private networks allowed; it counts nothing and answers
    by path.
    """

    class Pictures(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = {
                "/a.png": (200, {}, png),
                "/page": (200, {}, b"<html></html>"),
                "/gone": (404, {}, b""),
                "/moved": (302, {"Location": "/a.png"}, b""),
                "/away": (302, {"Location": "https://192.168.0.1/x"}, b""),
                "/down": (302, {"Location": "http://localhost/a.png"}, b""),
                "/round": (302, {"Location": "/round"}, b""),
                "/huge": (200, {"Content-Length": str(1 << 40)}, png),
                "/endless": (200, {}, png * 50_000),
                "/slow": (200, {}, b""),
                "/slow-head": (200, {}, b""),
            }[self.path]
            if self.path == "/slow-head":
                self._trickle(b"HTTP/1.0 200 OK\r\nX: ")
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.path == "/slow":
                self._trickle(b"")
                return
            try:
                self.wfile.write(body)
            except OSError:  # the caller has had enough
                pass

        def _trickle(self, start: bytes) -> None:
            try:
                self.wfile.write(start)
                for _ in range(40):
                    self.wfile.write(b"x")
                    time.sleep(0.1)
            except OSError:  # the caller has had enough
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        settings.IMAGE_HOSTS = ["localhost"]
        settings.WEBHOOKS_PRIVATE = True
        yield f"https://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def fetch(url: str, seconds: float = 5) -> bytes:
    return fetch_picture(url, deadline=time.monotonic() + seconds)


def test_a_picture_of_a_listed_host_is_fetched_also_where_it_moved_to(host: str, png: bytes) -> None:
    assert fetch(f"{host}/a.png") == fetch(f"{host}/moved") == png


@pytest.mark.parametrize(
    ("path", "error", "why"),
    [
        ("/page", NotAPicture, "no picture"),
        ("/gone", PictureNotFetched, "answered with 404"),
        ("/away", HostNotListed, "192.168.0.1"),
        ("/down", HostNotListed, "no https address"),
        ("/round", PictureNotFetched, "more than 2 times"),
        ("/huge", PictureTooLarge, "bytes"),
        ("/endless", PictureTooLarge, "more than"),
    ],
)
def test_what_is_no_picture_or_leads_elsewhere_is_refused(
    host: str, path: str, error: type[Exception], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 1_000_000)
    with pytest.raises(error, match=why):
        fetch(host + path)


@pytest.mark.parametrize("path", ["/slow", "/slow-head"])
def test_a_side_that_trickles_is_cut_off_at_the_deadline(host: str, path: str) -> None:
    began = time.monotonic()
    with pytest.raises(PictureTooSlow):
        fetch(f"{host}{path}", seconds=0.5)
    assert time.monotonic() - began < 2


def test_private_addresses_are_never_called_however_they_are_written(host: str, settings: Settings) -> None:
    settings.WEBHOOKS_PRIVATE = False
    settings.IMAGE_HOSTS = ["*"]
    port = host.rpartition(":")[2]
    for place in (
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "10.0.0.1",
    ):
        with pytest.raises(PictureNotFetched, match=r"private network|never called|no address|cannot be fetched"):
            fetch(f"https://{place}:{port}/a.png")


def test_only_listed_hosts_are_called(host: str, settings: Settings) -> None:
    for listed, asked in (
        (["example.org"], "localhost"),
        (["*.localhost"], "localhost"),
        (["localhost"], "localhost.evil.example"),
        (["*.example.org"], "badexample.org"),
        (["localhost"], "user@localhost"),
    ):
        settings.IMAGE_HOSTS = listed
        with pytest.raises(HostNotListed):
            fetch(f"https://{asked}/a.png")


def test_a_certificate_that_nobody_vouches_for_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(PictureNotFetched, match="certificate verify failed"):
        fetch(f"{host}/a.png")


def test_all_pictures_of_a_request_share_one_time(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.ingest.read_media.FETCH_S", 0.0)
    with pytest.raises(MediaNotFound, match="was not there within"):
        with_fetching(no_files)(f"{host}/a.png")


def test_items_may_name_their_pictures_by_address_where_the_operator_listed_hosts(
    host: str, with_key: KeyedClient, settings: Settings, png: bytes
) -> None:
    sender: APIClient = with_key(ApiScope.ITEMS_WRITE)
    row = {"external_id": "1", "prompt": "Look", "media": [f"{host}/a.png"]}
    settings.IMAGE_HOSTS = []
    off = sender.post("/api/v1/items", row, format="json")
    assert off.status_code == 422 and "fetching by URL is not offered" in off.content.decode()
    settings.IMAGE_HOSTS = ["localhost"]
    [error] = sender.post("/api/v1/items", {**row, "media": [f"{host}/gone"]}, format="json").json()["errors"]
    assert error["pointer"] == "/0/media/0" and "answered with 404 by localhost" in error["detail"]
    assert sender.post("/api/v1/items", row, format="json").status_code in (201, 202)
    assert Item.objects.get().media.get().size == len(png)
