"""A real S3 server on a port of the test's own: it checks signatures and their expiry. It can be killed and started
again.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "guardapp",
    "AWS_SECRET_ACCESS_KEY": "guardapp-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "media"


class S3Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / BUCKET).mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            **os.environ,
            "NANIO_ACCESS_KEY": ACCOUNT["AWS_ACCESS_KEY_ID"],
            "NANIO_SECRET_KEY": ACCOUNT["AWS_SECRET_ACCESS_KEY"],
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "nanio",
                "serve",
                "--data-dir",
                str(self.folder),
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--no-access-log",
                "--log-level",
                "error",
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(self.endpoint, timeout=1)
            except urllib.error.HTTPError:
                return  # it answers, and wants a signature
            except OSError:
                assert time.monotonic() < deadline, "the S3 server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
