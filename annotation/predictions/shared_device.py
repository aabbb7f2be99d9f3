"""Sharing of one device between serving and training, coordinated through the database (`GUARDAPP_SHARED_DEVICE`).

Serving records its use of the device before it checks for a loan; training records its loan before it checks for a use.
So at least one always sees the other. Serving finishes the current batch and releases its guards, while training waits.
Until the device is returned, items wait and moderation answers 503. A loan expires if its trainer dies, and a use if
its process does. If no device is shared, no queries are made.
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
# a use not renewed for this long is considered dead
DEAD_AFTER = timedelta(seconds=30)
TRAINING_RETRY_S = 30.0

logger = logging.getLogger(__name__)


class DeviceInTraining(Exception):
    """A training run has the guard's device. Ask again in a while."""

    retry_after_s = TRAINING_RETRY_S


class _Process:
    """This process's state of using the device."""

    def __init__(self) -> None:
        self.id = uuid4()
        # held while the guard works, so that it is never released in the middle of a batch
        self.lock = threading.RLock()
        self.holds = False
        self.keeper: threading.Thread | None = None
        self.leaving = threading.Event()


_process = _Process()


@contextmanager
def on_device(on_return: Callable[[], Any] | None = None) -> Iterator[None]:
    """Use the device to load or run a guard.

    `on_return` is called in a separate thread after training returns the device. Raises DeviceInTraining, after
    releasing all guards of this process.
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
    """Release the device when the process ends, so that training need not wait for the use to expire."""
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
    """Renew the use, release the device to training, and call `on_return` when it is back. Runs in a thread."""
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
    """Claim the shared device for training; None if another job has it. Use it only once `is_free` is true."""
    holder = holder[:200]
    loan, made = DeviceLoan.objects.get_or_create(
        device=settings.SHARED_DEVICE,
        defaults={"holder": holder, "token": uuid4(), "until": LOAN_CLAIMS.end(clock.now())},
    )
    return LOAN_CLAIMS.of(loan) if made else LOAN_CLAIMS.take_row(loan, holder=holder)


def is_free() -> bool:
    """Whether no serving process has a guard on the device."""
    return not DeviceUse.objects.filter(device=settings.SHARED_DEVICE, seen_at__gt=clock.now() - DEAD_AFTER).exists()


def give_back(loan: Claim[DeviceLoan]) -> None:
    loan.held().delete()
