"""The time by which leases, claims and messages run out: the database's, the one clock that all processes share.

By their own clocks a machine that is ten minutes ahead would take items from workers that still hold them, and one that
is behind would hold them ten minutes too long.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

ANCHOR_S = 10.0  # so long the answer is counted on before the database is asked again


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What the database's clock showed at a moment of this machine's steady clock, which nobody sets."""

    at: datetime
    steady: float

    def now(self, steady: float) -> datetime:
        return self.at + timedelta(seconds=steady - self.steady)


_anchor: _Anchor | None = None


def now() -> datetime:
    """The database's time (UTC). SQLite has none of its own: its file lies on this machine, so this machine's clock is
    the shared one.
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
