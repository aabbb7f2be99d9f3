"""A worker's sign of life: a file that a thread of it touches. `python -m guardapp.worker_alive` is the health check
that looks at it.

A solo worker answers no `inspect ping` while it works, and each such ping is a whole Python with Celery. This one loads
neither.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

EVERY_S, STALE_S = 5.0, 30.0


def place() -> Path:
    """One for each container, or what GUARDAPP_PULSE names where several processes share a host."""
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
        except OSError:  # a full disk ends no worker
            pass
        time.sleep(EVERY_S)


if __name__ == "__main__":
    sys.exit(not alive(place()))
