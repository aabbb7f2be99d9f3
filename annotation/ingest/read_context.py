"""Reads what stands around the content of an untrusted row: its address, its author, its thread and its reports."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from annotation.ingest.read_fields import NAME_OF_TYPE, FieldReader
from annotation.ingest.values import (
    MAX_PERSON,
    MAX_REPORTS,
    MAX_REPORTS_BYTES,
    MAX_THREAD,
    MAX_THREAD_BYTES,
    MAX_URL,
    IncomingAuthor,
    IncomingReport,
)

AUTHOR_FIELDS = ("id", "name", "url", "created_at", "strikes")
REPORT_FIELDS = ("reporter", "reason", "reported_at")
MESSAGE_FIELDS = ("id", "author", "text", "media", "at", "position")
POSITIONS = ("parent", "before", "after")
MAX_MEDIA_OF_A_MESSAGE = 16
MOST_STRIKES = 1_000_000
MAX_DIGITS = 30  # of an id that is a number


def read_address(reader: FieldReader, name: str) -> str:
    """Return an http or https address, or ""."""
    value = reader.text(name, limit=MAX_URL).strip()
    if value and not is_address(value):
        reader.refuse(name, "is no address: write one that begins with http:// or https://.")
        return ""
    return value


def is_address(value: str) -> bool:
    """Whether this is an http or https address with a host and no white space."""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not any(map(str.isspace, value))
    except ValueError:
        return False


def read_author(reader: FieldReader, name: str) -> IncomingAuthor | None:
    """Return the author: an object with an id, or the id alone."""
    value = reader.row.get(name)
    if value is None:
        return None
    within = _object(reader, name, {"id": value} if isinstance(value, str) else value, AUTHOR_FIELDS)
    if within is None:
        return None
    before, known_as = len(reader.errors), _id(within, "id")
    if not known_as and len(reader.errors) == before:
        within.refuse("id", "is missing.")
    return IncomingAuthor(
        id=known_as,
        name=within.text("name", limit=MAX_PERSON).strip(),
        url=read_address(within, "url"),
        created_at=within.moment("created_at"),
        strikes=_strikes(within),
    )


def read_reports(reader: FieldReader, name: str) -> tuple[IncomingReport, ...]:
    rows = _rows(reader, name, most=MAX_REPORTS, most_bytes=MAX_REPORTS_BYTES)
    reports = (read_report(reader, f"{name}/{number}", row) for number, row in enumerate(rows))
    return tuple(report for report in reports if report is not None)


def read_report(reader: FieldReader, name: str, row: object) -> IncomingReport | None:
    """Return one report. It names at least a reporter, a reason or a time."""
    within = _object(reader, name, row, REPORT_FIELDS)
    if within is None:
        return None
    before = len(reader.errors)
    if isinstance(within.row.get("reason"), str):
        text = within.text("reason").strip()
        reason: dict[str, Any] = {"text": text} if text else {}
    else:
        reason = within.mapping("reason")
    report = IncomingReport(_id(within, "reporter"), reason, within.moment("reported_at"))
    if report == IncomingReport() and len(reader.errors) == before:
        reader.refuse(name, f"says nothing: give {', '.join(REPORT_FIELDS)}, or leave it out.")
    return report


def read_thread(reader: FieldReader, name: str) -> list[dict[str, Any]]:
    rows = _rows(reader, name, most=MAX_THREAD, most_bytes=MAX_THREAD_BYTES)
    messages = (_read_message(reader, f"{name}/{number}", row) for number, row in enumerate(rows))
    return [message for message in messages if message]


def _read_message(reader: FieldReader, name: str, row: object) -> dict[str, Any]:
    """Return a message with the fields that are given, and its position (before, where none is)."""
    within = _object(reader, name, row, MESSAGE_FIELDS)
    if within is None:
        return {}
    before = len(reader.errors)
    position = within.text("position", limit=20) or "before"
    if position not in POSITIONS:
        within.refuse("position", f"is {position!r}. Use {', '.join(POSITIONS)}.")
    at = within.moment("at")
    message: dict[str, Any] = {
        "id": _id(within, "id"),
        "author": _read_name(within, "author"),
        "text": within.text("text"),
        "media": _read_links(within, "media"),
        "at": at and at.isoformat().replace("+00:00", "Z"),
    }
    if not message["text"].strip() and not message["media"] and len(reader.errors) == before:
        reader.refuse(name, "has no content: give text or media.")
    return {field: value for field, value in message.items() if value} | {"position": position}


def _read_name(reader: FieldReader, name: str) -> str | dict[str, str]:
    """Return who wrote a message: a name, or {id, name}."""
    value = reader.row.get(name)
    if not isinstance(value, dict):
        return _id(reader, name)
    within = _object(reader, name, value, ("id", "name"))
    assert within is not None, "it is an object"
    read = {"id": _id(within, "id"), "name": within.text("name", limit=MAX_PERSON).strip()}
    return {field: text for field, text in read.items() if text}


def _read_links(reader: FieldReader, name: str) -> list[str]:
    """Return the addresses of a message's media, which are shown as links and never fetched."""
    rows = reader.sequence(name)
    if len(rows) > MAX_MEDIA_OF_A_MESSAGE:
        reader.refuse(name, f"has {len(rows):,} entries, the limit is {MAX_MEDIA_OF_A_MESSAGE}.")
        return []
    for number, row in enumerate(rows):
        if not isinstance(row, str) or len(row) > MAX_URL or not is_address(row):
            reader.refuse(f"{name}/{number}", "must be an http or https address: media of a thread are shown as links.")
            return []
    return rows


def _rows(reader: FieldReader, name: str, *, most: int, most_bytes: int) -> list[Any]:
    rows = reader.sequence(name)
    if len(rows) > most:
        reader.refuse(name, f"has {len(rows):,} entries, the limit is {most}.")
        return []
    before = len(reader.errors)
    if rows:
        reader.fits(name, rows, limit=most_bytes)
    return rows if len(reader.errors) == before else []


def _object(reader: FieldReader, name: str, value: object, known: tuple[str, ...]) -> FieldReader | None:
    """Return a reader of the object at `name`, or None with an error if it is none."""
    if not isinstance(value, Mapping):
        reader.refuse(name, f"must be an object, this is {NAME_OF_TYPE.get(type(value), type(value).__name__)}.")
        return None
    within = FieldReader(value, reader.errors, f"{reader.at}/{name}")
    within.refuse_unknown(known)
    return within


def _id(reader: FieldReader, name: str) -> str:
    """Return an id or a name; a whole number is taken as its digits."""
    value = reader.row.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_DIGITS:
        return str(value)
    return reader.text(name, limit=MAX_PERSON).strip()


def _strikes(reader: FieldReader) -> int | None:
    value = reader.row.get("strikes")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_STRIKES:
        reader.refuse("strikes", f"must be a whole number from 0 to {MOST_STRIKES:,}.")
        return None
    return value
