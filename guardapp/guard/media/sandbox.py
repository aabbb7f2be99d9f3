"""The parent's side of the sandbox: start the child, send it one file at a time, kill it on timeout."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import guardapp
from guardapp.guard.media.errors import (
    ERROR_BY_CODE,
    MediaDecoderCrashed,
    MediaDecodeTimeout,
    MediaError,
    MediaOutOfMemory,
)
from guardapp.guard.media.values import Limits

# -P keeps folders with untrusted files off the import path; -s does so for the user's site-packages.
COMMAND = ("-P", "-s", "-m", "guardapp.guard.media.sandbox_child")
PROJECT = Path(guardapp.__path__[0]).parent
MAX_ANSWER_BYTES = 1 << 20
STDERR_TAIL_BYTES = 4_096
# Decoders leak a little memory; a fresh child costs a fraction of a second.
FILES_PER_CHILD = 200
MEMORY_WORDS = (
    "MemoryError",
    "bad_alloc",
    "Cannot allocate memory",
    "failed to map segment",
    "Memory allocation still failed",
    "can't start new thread",
)
LATE_SIGNALS = {signal.SIGXCPU}


class Sandbox:
    """A child process that decodes files one after another; a file that crashes it fails alone.

    Use from one thread only: on Linux the child ends with the thread that started it.
    """

    def __init__(self, limits: Limits, command: tuple[str, ...] = COMMAND) -> None:
        self._limits = limits
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the manifest of one decoded file within `wall_s` seconds. Raises the child's MediaError."""
        deadline = time.monotonic() + self._limits.wall_s
        try:
            answer = self._ask(job, deadline)
        except BaseException:
            self.close()
            raise
        if answer.get("error") == MediaOutOfMemory.code:
            # the next file gets the full memory limit
            self.close()
        if "error" in answer:
            raise ERROR_BY_CODE.get(str(answer["error"]), MediaDecoderCrashed)(str(answer.get("detail", "")))
        manifest = answer.get("ok")
        if not isinstance(manifest, dict):
            self.close()
            raise MediaDecoderCrashed("its answer cannot be read")
        return manifest

    def close(self) -> None:
        """Kill the child's process group and wait for it to exit."""
        child, self._child = self._child, None
        if child is None:
            return
        _kill(child)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
        self._stderr.close()

    def _ask(self, job: dict[str, Any], deadline: float) -> dict[str, Any]:
        if self._served >= FILES_PER_CHILD:
            self.close()
        child = self._child or self._start()
        self._served += 1
        if not _write(child, json.dumps(job)):
            raise self._death(child)
        line = self._read_line(child, deadline)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise MediaDecoderCrashed("its answer cannot be read") from error
        return answer if isinstance(answer, dict) else {}

    def _start(self) -> subprocess.Popen[bytes]:
        self._served = 0
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *self._command, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
        self._child = child
        _write(child, json.dumps({"limits": asdict(self._limits), "jobs": FILES_PER_CHILD}))
        return child

    def _read_line(self, child: subprocess.Popen[bytes], deadline: float) -> bytes:
        """Read one line from the child. A late, silent, endless or dead child raises an error of its own."""
        assert child.stdout is not None
        received = b""
        answers = select.poll()
        answers.register(child.stdout, select.POLLIN)
        while not received.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not answers.poll(left * 1_000):
                raise MediaDecodeTimeout(f"over {self._limits.wall_s:g} seconds")
            piece = os.read(child.stdout.fileno(), 65_536)
            if not piece:
                raise self._death(child)
            received += piece
            if len(received) > MAX_ANSWER_BYTES:
                raise MediaDecoderCrashed("its answer does not end")
        return received

    def _death(self, child: subprocess.Popen[bytes]) -> MediaError:
        """Derive the error from the child's exit status and the end of its stderr."""
        try:
            status = child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return MediaDecoderCrashed("it closed its output")
        tail = self._stderr_tail()
        if any(word in tail for word in MEMORY_WORDS):
            return MediaOutOfMemory()
        if status >= 0:
            return MediaDecoderCrashed(tail.strip().rpartition("\n")[2][:200] or f"exit status {status}")
        if -status in LATE_SIGNALS:
            return MediaDecodeTimeout(f"over {self._limits.cpu_s} seconds of processor time")
        name = signal.Signals(-status).name if -status in {known.value for known in signal.Signals} else str(-status)
        # a SIGKILL that we did not send comes from the kernel's out-of-memory killer
        return MediaOutOfMemory("the system ended it") if name == "SIGKILL" else MediaDecoderCrashed(name)

    def _stderr_tail(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_TAIL_BYTES))
        return self._stderr.read().decode("utf-8", "replace")


def environment() -> dict[str, str]:
    """The child's entire environment: where to find programs and this package, and one thread per library."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _write(child: subprocess.Popen[bytes], line: str) -> bool:
    """Send one line, which fits into the pipe buffer. Return False if the child is gone."""
    assert child.stdin is not None
    try:
        child.stdin.write(line.encode() + b"\n")
    except BrokenPipeError:
        return False
    return True


def _kill(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
