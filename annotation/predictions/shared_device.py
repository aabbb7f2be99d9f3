"""Handing one card over between serving and training, through the database (`GUARDAPP_SHARED_DEVICE`).

Serving records its use of the device before it checks for a loan; training records its loan before it checks for a use.
So one of the two always sees the other. Serving finishes the current batch and releases its guards, and training waits
for that. Meanwhile items wait and moderation answers 503. A loan expires if its trainer dies, and a use if its process
does. Nothing here costs a query where no device is shared.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, connection

from annotation.database import clock
from annotation.database.claims import Claim
from annotation.models import DeviceLoan, DeviceUse
from annotation.models.claims import LOAN_CLAIMS
from annotation.predictions.loaded_engine import release_engines

CHECK_EVERY_S = 2.0
# a use that was not renewed for so long: its process has died, or its machine
DEAD_AFTER = timedelta(seconds=30)
TRAINING_RETRY_S = 30.0

logger = logging.getLogger(__name__)


class DeviceInTraining(Exception):
    """A training run has the guard's device. Ask again in a while."""

    retry_after_s = TRAINING_RETRY_S


class _Process:
    """What this process knows of its own use."""

    def __init__(self) -> None:
        self.id = uuid4()
        # held while the guard works: it is never taken away in the middle of a batch
        self.lock = threading.RLock()
        self.holds = False
        self.keeper: threading.Thread | None = None
        self.leaving = threading.Event()


_process = _Process()


@contextmanager
def on_device(on_return: Callable[[], Any] | None = None) -> Iterator[None]:
    """Around whatever loads or asks a guard. `on_return` is called in a thread of its own once training has
    given the device back.

    Raises DeviceInTraining, with all guards of this process let go.
    """
    if not settings.SHARED_DEVICE:
        yield
        return
    with _process.lock:
        _seen()
        if _in_training():
            _let_go()
            _keep(on_return)
            raise DeviceInTraining(DeviceInTraining.__doc__)
        _keep(on_return)
        yield


def leave() -> None:
    """When the process ends: training need not wait until it counts as dead."""
    if (keeper := _process.keeper) is None:
        return
    _process.leaving.set()
    keeper.join()
    _process.leaving.clear()
    with _process.lock:
        _let_go()
    connection.close()


def _in_training() -> bool:
    return DeviceLoan.objects.filter(device=settings.SHARED_DEVICE, until__gt=clock.now()).exists()


def _seen() -> None:
    DeviceUse.objects.update_or_create(
        process=_process.id, defaults={"device": settings.SHARED_DEVICE, "seen_at": clock.now()}
    )
    _process.holds = True


def _let_go() -> None:
    release_engines()
    DeviceUse.objects.filter(process=_process.id).delete()
    _process.holds = False


def _keep(on_return: Callable[[], Any] | None) -> None:
    if _process.keeper is None or not _process.keeper.is_alive():
        _process.keeper = threading.Thread(target=_keeper, args=(on_return,), name="device-keeper", daemon=True)
        _process.keeper.start()


def _keeper(on_return: Callable[[], Any] | None) -> None:
    """While the process has no other work: renew its use, release the device to training, and call
    `on_return` once it is back.
    """
    notified = False
    while not _process.leaving.wait(CHECK_EVERY_S):
        try:
            if _process.holds:
                notified = False
                _check()
            elif not notified and not _in_training():
                notified = True
                if on_return is not None:
                    on_return()
        except DatabaseError:
            logger.exception("The shared device could not be checked")
        finally:
            connection.close()


def _check() -> None:
    DeviceUse.objects.filter(process=_process.id).update(seen_at=clock.now())
    if _in_training() and _process.lock.acquire(blocking=False):
        try:
            _let_go()
        finally:
            _process.lock.release()
        logger.info("The guard has left %s: a training run has it", settings.SHARED_DEVICE)


def borrow(*, holder: str) -> Claim[DeviceLoan] | None:
    """Take the shared device for a training job; None where another job has it. It may be used once `is_free`."""
    holder = holder[:200]
    loan, made = DeviceLoan.objects.get_or_create(
        device=settings.SHARED_DEVICE,
        defaults={"holder": holder, "token": uuid4(), "until": LOAN_CLAIMS.end(clock.now())},
    )
    return LOAN_CLAIMS.of(loan) if made else LOAN_CLAIMS.take_row(loan, holder=holder)


def is_free() -> bool:
    """No serving process has a guard on the device."""
    return not DeviceUse.objects.filter(device=settings.SHARED_DEVICE, seen_at__gt=clock.now() - DEAD_AFTER).exists()


def give_back(loan: Claim[DeviceLoan]) -> None:
    loan.held().delete()
