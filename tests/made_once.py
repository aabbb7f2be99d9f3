"""What is expensive to make and only read: made once a run, by whichever worker of xdist needs it first."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Migrated = Callable[[Path], None]


def folder_of_the_run(factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Other workers wait here; the kernel lets them in when this process ends, however it ends."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` filled. Whoever changes something in it works on a copy."""
    made = folder_of_the_run(factory) / name
    with one_at_a_time(made):
        if not made.exists():
            unfinished = made.with_suffix(".unfinished")
            # of a worker that ended in the middle of it
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(made)
    return made


def migrated_database(factory: pytest.TempPathFactory) -> Path:
    """An SQLite file, there as soon as a worker has its test database."""
    return folder_of_the_run(factory) / "migrated.sqlite3"
