"""A broker behind TLS is reached only if its certificate is signed by a known authority, for its name."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import OperationalError

from guardapp import redis_tls
from tests.absence import absent

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str | Path) -> None:
    if shutil.which("openssl") is None:
        absent("no openssl is installed")
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The folder of an authority: ca.pem and ca.key."""
    made: list[str | Path] = ["-keyout", tmp_path / "ca.key", "-out", tmp_path / "ca.pem"]
    openssl("req", "-x509", *NEW_KEY, *made, "-days", "2", "-subj", "/CN=authority")
    return tmp_path


def sign(authority: Path, name: str) -> None:
    """server.pem and server.key, for an address such as IP:127.0.0.1 or a name such as DNS:host."""
    key, request, made = (authority / f"server.{kind}" for kind in ("key", "csr", "pem"))
    openssl("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=server")
    names = authority / "names.cnf"
    names.write_text(f"subjectAltName={name}\n")
    signer: list[str | Path] = ["-CA", authority / "ca.pem", "-CAkey", authority / "ca.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", request, *signer, "-out", made, "-days", "2", "-extfile", names)


@pytest.fixture
def server(tmp_path: Path, authority: Path) -> Iterator[Callable[[str], int]]:
    """Starts a Redis that speaks TLS only, with a certificate for the given names. Returns its port."""
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    if redis is None:
        absent("no redis-server or valkey-server is installed")
    assert redis is not None
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> int:
        sign(authority, name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        options = {
            "port": "0",
            "tls-port": str(port),
            "bind": "127.0.0.1",
            "tls-cert-file": str(authority / "server.pem"),
            "tls-key-file": str(authority / "server.key"),
            "tls-ca-cert-file": str(authority / "ca.pem"),
            "tls-auth-clients": "no",
            "save": "",
            "dir": str(tmp_path),
        }
        command = [redis, *(part for name, value in options.items() for part in (f"--{name}", value))]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        for _ in range(100):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.1)
        raise AssertionError("the server did not start")

    yield start
    for process in running:
        process.terminate()
        process.wait()


def reach(url: str, ca: str) -> None:
    """Connect as the workers and the bells do. Raises OperationalError."""
    app = Celery("trial", broker=url)
    app.conf.broker_use_ssl = redis_tls.options(url, ca)
    with app.connection_for_write(connect_timeout=5, transport_options={"max_retries": 0}) as connection:
        connection.ensure_connection(max_retries=0, timeout=5)
        queue = connection.SimpleQueue("trial")
        queue.put("rung")
        assert queue.get(timeout=5).payload == "rung"


def test_a_server_with_a_certificate_of_the_given_authority_is_reached(
    server: Callable[[str], int], authority: Path
) -> None:
    reach(f"rediss://127.0.0.1:{server('IP:127.0.0.1')}/0", str(authority / "ca.pem"))


def test_an_unknown_authority_is_refused(server: Callable[[str], int]) -> None:
    with pytest.raises(OperationalError, match="certificate verify failed"):
        reach(f"rediss://127.0.0.1:{server('IP:127.0.0.1')}/0", "")


def test_a_certificate_for_another_name_is_refused(server: Callable[[str], int], authority: Path) -> None:
    with pytest.raises(OperationalError, match="certificate verify failed"):
        reach(f"rediss://127.0.0.1:{server('DNS:redis.example.org')}/0", str(authority / "ca.pem"))


def test_without_tls_there_are_no_options() -> None:
    assert redis_tls.options("redis://host:6379/0", "") is None
    assert redis_tls.options("", "") is None


def test_checking_is_the_default() -> None:
    assert redis_tls.options("rediss://host:6379/0", "") == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_check_hostname": True,
    }


@pytest.mark.parametrize(
    ("url", "ca", "named"),
    [
        ("rediss://host/0?ssl_cert_reqs=none", "", "ssl_cert_reqs"),
        ("rediss://host/0?ssl_check_hostname=false", "", "ssl_check_hostname"),
        ("rediss://host/0", "/nowhere/ca.pem", "GUARDAPP_REDIS_CA"),
        ("redis://host/0", "/etc/hostname", "rediss://"),
    ],
)
def test_what_would_loosen_it_or_is_no_file_is_refused_with_its_name(url: str, ca: str, named: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=named):
        redis_tls.options(url, ca)
