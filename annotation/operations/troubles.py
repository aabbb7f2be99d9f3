"""Current operational problems, shown on the pages so that people see why something is delayed."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.database import clock
from annotation.doorbell import broker_answers
from annotation.models import Item, Prediction, QueueTally
from annotation.moderation.guard_client import guard_health
from annotation.people.api_keys import moderation_is_used
from annotation.status import ItemStatus

# minimum interval per process, because a check may block on an unresponsive service
CHECK_EVERY_S = 10.0
NEARLY_FULL_BYTES = 256 * 1024 * 1024
# items are waiting for the guard and none was predicted
STALLED = timedelta(minutes=5)
# the tallies were not refreshed: beat or the worker of the default queue is down
SILENT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Standing:
    """One problem. `kind` is its stable identifier."""

    kind: str
    title: str | Promise
    detail: str | Promise


BROKER_AWAY = Standing(
    "broker_away",
    _("Redis is away"),
    _("New content is stored and waits; reviewing goes on. The work goes on by itself when Redis is back."),
)
DISK_FULL = Standing(
    "storage_full", _("The disk is nearly full"), _("New content may be refused until the operator makes room.")
)
GUARD_AWAY = Standing(
    "guard_away",
    _("The guard for moderation is away"),
    _("Moderation requests are told to come back. Queues are not affected."),
)
STALLED_GUARD = Standing(
    "guard_stalled",
    _("The guard has predicted nothing for a while"),
    _("Items wait for it. Look at the log of the inference worker."),
)
BEAT_SILENT = Standing(
    "beat_silent",
    _("Nobody rings the bells"),
    _("Work that waits is picked up late. Look at the logs of beat and of the default worker."),
)

_checking = threading.Lock()
_seen: tuple[float, tuple[Standing, ...]] = (float("-inf"), ())


def standing_troubles() -> tuple[Standing, ...]:
    """The problems as of this process's last check.

    One request per CHECK_EVERY_S runs the check; the others do not wait for it.
    """
    global _seen  # noqa: PLW0603  (what this process saw last)
    if time.monotonic() - _seen[0] >= CHECK_EVERY_S and _checking.acquire(blocking=False):
        try:
            _seen = (time.monotonic(), tuple(current_troubles()))
        finally:
            _checking.release()
    return _seen[1]


def current_troubles() -> Iterator[Standing]:
    checks: tuple[tuple[Standing, Callable[[], bool]], ...] = (
        (BROKER_AWAY, lambda: not broker_answers()),
        (DISK_FULL, _disk_is_full),
        (GUARD_AWAY, _guard_is_away),
        (STALLED_GUARD, _guard_stalls),
        (BEAT_SILENT, _beat_is_silent),
    )
    return (trouble for trouble, holds in checks if holds())


def _disk_is_full() -> bool:
    return any(
        shutil.disk_usage(folder).free < NEARLY_FULL_BYTES
        for folder in (settings.DATA_DIR, Path(settings.MEDIA_ROOT))
        if folder.exists()
    )


def _guard_is_away() -> bool:
    return moderation_is_used() and guard_health() is None


def _guard_stalls() -> bool:
    since = clock.now() - STALLED
    if not Item.objects.filter(status=ItemStatus.PENDING, created_at__lt=since).order_by("-id")[:1].exists():
        return False
    newest = Prediction.objects.order_by("-id").values_list("created_at", flat=True).first()
    return newest is None or newest < since


def _beat_is_silent() -> bool:
    newest = QueueTally.objects.order_by("-counted_at").values_list("counted_at", flat=True).first()
    return newest is not None and newest < clock.now() - SILENT
