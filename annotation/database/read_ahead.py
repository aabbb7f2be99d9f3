"""Prepare the next chunk during work on this one, so that database, zlib and interpreter each use a core."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

from django.db import connection

T = TypeVar("T")
DEPTH = 2  # chunks kept ready
# how often a reader with unclaimed chunks checks whether it is still needed
CHECK_EVERY_S = 0.2


class _End:
    """Marks the end after the last chunk, or carries the error that ended the reading."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(chunks: Iterator[T]) -> Generator[T, None, None]:
    """Yield the same chunks, read by a thread with its own database connection.

    Inside a transaction, chunks are read on demand: another connection would not see this one's changes.
    """
    if connection.in_atomic_block:
        yield from chunks
        return
    ready: queue.Queue[T | _End] = queue.Queue(DEPTH)
    wanted = threading.Event()
    wanted.set()
    reader = threading.Thread(target=_read, args=(chunks, ready, wanted), name="read-ahead", daemon=True)
    reader.start()
    try:
        while not isinstance(chunk := ready.get(), _End):
            yield chunk
        if chunk.error is not None:
            raise chunk.error
    finally:
        wanted.clear()
        reader.join()


def _read(chunks: Iterator[T], ready: "queue.Queue[T | _End]", wanted: threading.Event) -> None:
    end = _End()
    try:
        for chunk in chunks:
            _put(ready, chunk, wanted)
            if not wanted.is_set():
                return
    except Exception as error:  # noqa: BLE001  (raised again where the chunks are consumed)
        end = _End(error)
    finally:
        connection.close()
        _put(ready, end, wanted)


def _put(ready: "queue.Queue[T | _End]", given: T | _End, wanted: threading.Event) -> None:
    while wanted.is_set():
        try:
            ready.put(given, timeout=CHECK_EVERY_S)
        except queue.Full:
            continue
        return
