"""Checks that a database can store a text or JSON value: no NUL, no lone surrogates, only finite numbers.

PostgreSQL refuses such values in the middle of a transaction and SQLite accepts some of them, so they are detected
beforehand.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

# invisible characters, which no field is meant to contain
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
DEEPEST = 200
MOST = 2**63 - 1
SHOWN_KEY = 100


@dataclass(frozen=True, slots=True)
class NotStorable:
    """Where a value cannot be stored (JSON pointer, RFC 6901; "" for the value itself) and why."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a JSON value.

    Its pointer is built on demand, since the pointers of all places in a large value would take much memory.
    """

    parent: Self | None
    key: str

    def pointer(self) -> str:
        parts: list[str] = []
        place: _Place | None = self
        while place is not None and place.parent is not None:
            parts.append(_NOT_STORABLE.sub("\ufffd", place.key[:SHOWN_KEY]).replace("~", "~0").replace("/", "~1"))
            place = place.parent
        return "".join(f"/{part}" for part in reversed(parts))


def cleaned(text: str) -> str:
    """The text with \\n line endings, and without control characters (except tab and newline) or lone surrogates."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def why_not_text(text: str) -> str:
    """Why a text cannot be stored; "" if it can."""
    found = _NOT_STORABLE.search(text)
    if found is None:
        return ""
    if found[0] == "\x00":
        return f"holds a NUL character (U+0000) at position {found.start()}. Remove it: it cannot be stored as text."
    if 0xDC80 <= ord(found[0]) <= 0xDCFF:
        byte = ord(found[0]) - 0xDC00
        return f"is not UTF-8: byte 0x{byte:02X} at position {found.start()}. Write the text as UTF-8."
    return (
        f"holds half of a character (U+{ord(found[0]):04X}, a lone surrogate) at position {found.start()}. "
        "Send the whole character, or leave it out."
    )


def why_not_json(value: object) -> NotStorable | None:
    """The first part of a JSON value that cannot be stored. Checks keys and values, not their serialised form."""
    todo: list[tuple[_Place, object, int]] = [(_Place(None, ""), value, 0)]
    while todo:
        place, one, depth = todo.pop()
        if depth > DEEPEST:
            return NotStorable("", f"is nested more than {DEEPEST} levels deep.")
        if isinstance(one, str):
            if why := why_not_text(one):
                return NotStorable(place.pointer(), why)
        elif isinstance(one, int):
            if abs(one) > MOST:
                return NotStorable(place.pointer(), "is a number of more than 64 bits. Send it as text.")
        elif isinstance(one, float):
            if not math.isfinite(one):
                return NotStorable(place.pointer(), f"is {one}. JSON has finite numbers only: send one, text or null.")
        elif isinstance(one, Mapping):
            for key, inner in one.items():
                if why := why_not_text(str(key)):
                    return NotStorable(place.pointer(), f"has a key that {why}")
                todo.append((_Place(place, str(key)), inner, depth + 1))
        elif isinstance(one, Sequence):
            todo += [(_Place(place, str(number)), inner, depth + 1) for number, inner in enumerate(one)]
    return None
