"""Recognise temporary outages by their errors: the database is unreachable or busy, or a disk is full."""

import errno
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import psycopg
from django.db import InterfaceError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# PostgreSQL's error codes, https://www.postgresql.org/docs/current/errcodes-appendix.html
# connection errors; shut down, crashed, not started yet; too many connections
PG_AWAY = ("08", "57P01", "57P02", "57P03", "53300")
PG_BUSY = ("55P03", "40P01", "40001")  # lock timeout, deadlock, serialization
PG_FULL = ("53100",)
# SQLite's primary result codes, https://www.sqlite.org/rescode.html
SQLITE_AWAY = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SQLITE_FULL = (sqlite3.SQLITE_FULL,)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An outage. `kind` is a stable identifier for programs; `title` and `detail` are for people.

    Nothing of the request was stored.
    """

    kind: str
    status: HTTPStatus
    title: str | Promise
    detail: str | Promise
    retry_after_s: int


DATABASE_AWAY = Trouble(
    "database_away",
    HTTPStatus.SERVICE_UNAVAILABLE,
    _("The database is away"),
    _(
        "It does not answer at the moment. Nothing is lost, and nothing of this request was stored: send it "
        "again in a moment."
    ),
    5,
)
DATABASE_BUSY = Trouble(
    "database_busy",
    HTTPStatus.SERVICE_UNAVAILABLE,
    _("The database is busy"),
    _("Another change was in the way. Nothing of this request was stored: send it again in a moment."),
    1,
)
STORAGE_FULL = Trouble(
    "storage_full",
    HTTPStatus.INSUFFICIENT_STORAGE,
    _("The disk is full"),
    _(
        "There is no room to store anything. Nothing of this request was stored: send it again once the "
        "operator has made room."
    ),
    60,
)


def trouble_of(error: BaseException | None) -> Trouble | None:
    """The outage that caused an error, found through its chain of causes; None if the error is a bug."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            return STORAGE_FULL
        if isinstance(cause, sqlite3.Error):
            return _of_sqlite(cause)
        if isinstance(cause, psycopg.Error):
            return _of_postgresql(cause)
    return DATABASE_AWAY if isinstance(error, InterfaceError) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _of_sqlite(error: sqlite3.Error) -> Trouble | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kinds = ((SQLITE_FULL, STORAGE_FULL), (SQLITE_BUSY, DATABASE_BUSY), (SQLITE_AWAY, DATABASE_AWAY))
    return next((trouble for codes, trouble in kinds if code in codes), None)


def _of_postgresql(error: psycopg.Error) -> Trouble | None:
    """Classify a PostgreSQL error.

    An error without a code comes from the client: the connection failed or was lost.
    """
    code = error.sqlstate
    if code is None:
        return DATABASE_AWAY if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) else None
    kinds = ((PG_FULL, STORAGE_FULL), (PG_BUSY, DATABASE_BUSY), (PG_AWAY, DATABASE_AWAY))
    return next((trouble for codes, trouble in kinds if code.startswith(codes)), None)
