"""Callers that hang up before their answer: noticed by their connection, and told to the guard process."""

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

EVERY_S = 0.2


def has_left(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection. Nothing is read from it."""
    try:
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if not poll.poll(0):
            return False
        return connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


class Watch:
    """Calls `tell(id)` when a caller leaves: one thread for all callers of this process. Thread-safe."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._changed = threading.Condition()
        self._watched: dict[str, socket.socket] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, id: str, connection: socket.socket | None) -> Iterator[None]:
        """Watch the caller of this request during the context; nobody if the connection is unknown."""
        if connection is None:
            yield
            return
        with self._changed:
            self._watched[id] = connection
            # a fork has no threads of its parent
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="callers", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(id, None)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._watched)
                # under the lock, so that no answered caller's connection is asked
                gone = [id for id, connection in self._watched.items() if has_left(connection)]
                for id in gone:
                    del self._watched[id]
            for id in gone:
                try:
                    self._tell(id)
                except Exception:  # the thread must survive
                    logger.exception("The guard could not be told that a caller has left")
            threading.Event().wait(EVERY_S)
