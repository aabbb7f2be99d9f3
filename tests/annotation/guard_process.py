"""A guard that answers on the test's own socket: the real starter, or an engine that a test scripts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from annotation.moderation.guard_client import hang_up
from annotation.moderation.guard_process import Guarding
from annotation.moderation.guard_server import GuardServer
from guardapp.guard.protocol import Engine


@contextmanager
def serving(engine: Engine, socket: Path) -> Iterator[Guarding]:
    """Until the context ends `engine` judges for whoever asks."""
    settings.GUARD_SOCKET = socket
    guarding = Guarding(lambda version: engine)
    with GuardServer(socket, guarding) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield guarding
        hang_up()
        server.shutdown()
        thread.join()
    guarding.stop()
