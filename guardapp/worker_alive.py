"""A worker's heartbeat file, touched by one of its threads; `python -m guardapp.worker_alive` is the health check.

A solo worker does not answer `inspect ping` while it works, and each such ping starts a whole Python with Celery. This
check loads neither.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

EVERY_S, STALE_S = 5.0, 30.0


def place() -> Path:
    """One file per container, or the one that GUARDAPP_PULSE names if several processes share a host."""
    return Path(os.environ.get("GUARDAPP_PULSE") or Path(tempfile.gettempdir()) / "guardapp.worker_alive")


def start_pulse() -> None:
    threading.Thread(target=_beat, args=(place(),), name="pulse", daemon=True).start()


def alive(pulse: Path) -> bool:
    try:
        return time.time() - pulse.stat().st_mtime < STALE_S
    except OSError:
        return False


def _beat(pulse: Path) -> None:
    while True:
        try:
            pulse.touch()
        except OSError:
            # a full disk must not end a worker
            pass
        time.sleep(EVERY_S)


if __name__ == "__main__":
    sys.exit(not alive(place()))
