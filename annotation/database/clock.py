"""The database's clock, which all processes share: leases, claims and messages expire by it.

With local clocks, a machine ten minutes fast would take items from workers that still hold them, and one ten minutes
slow would hold its items ten minutes too long.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

# how long an answer is reused before the database is asked again
ANCHOR_S = 10.0


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The database's time at one reading of this machine's monotonic clock, which nobody can set."""

    at: datetime
    steady: float

    def now(self, steady: float) -> datetime:
        return self.at + timedelta(seconds=steady - self.steady)


_anchor: _Anchor | None = None


def now() -> datetime:
    """The database's time (UTC).

    SQLite has no clock of its own, but its file is on this machine, so the machine's clock is the shared one.
    """
    global _anchor  # noqa: PLW0603  (one a process; the last one to be measured is as good as any other)
    if connection.vendor != "postgresql":
        return timezone.now()
    steady = time.monotonic()
    if _anchor is None or steady - _anchor.steady >= ANCHOR_S:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            _anchor = _Anchor(cursor.fetchone()[0], time.monotonic())
        steady = _anchor.steady
    return _anchor.now(steady)
