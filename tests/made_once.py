"""What is expensive to make and only read: made once a run, by whichever worker of xdist needs it first."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.paths import ROOT

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
    """Where the SQLite file lies that others are copied from."""
    return folder_of_the_run(factory) / "migrated.sqlite3"


def migrate(database: Path) -> None:
    """Make it by the command of an operator, in a data folder of its own."""
    folder = database.with_suffix(".unfinished")
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment | {"GUARDAPP_DATA": str(folder)}, check=True, timeout=240)
    (folder / "guardapp.sqlite3").rename(database)
