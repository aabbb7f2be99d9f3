"""Reads the fields of an untrusted row.

Each error names the field, the value found and the values accepted.
"""

import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from annotation.database.storable import why_not_json, why_not_text
from annotation.ingest.language_codes import language_code
from annotation.ingest.values import MAX_METADATA_BYTES, MAX_TEXT_CHARACTERS, FieldError
from guardapp.guard.taxonomy import Modality

NAME_OF_TYPE = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
MOST_UNKNOWN = 10  # fields of an object that are named as unknown
MODALITIES = frozenset(modality.value for modality in Modality)


class FieldReader:
    """Reads the fields of a row and collects errors. `at` is the JSON pointer of the object being read."""

    __slots__ = ("at", "errors", "row")

    def __init__(self, row: Mapping[str, Any], errors: list[FieldError], at: str = "") -> None:
        self.row = row
        self.errors = errors
        self.at = at

    def refuse(self, name: str, detail: str) -> None:
        self.errors.append(FieldError(f"{self.at}/{name}", detail))

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Name the first unknown fields, and of the others how many there are: a sender decides how many."""
        more = 0
        for name in self.row:
            if name in known:
                continue
            if more < MOST_UNKNOWN:
                self.refuse(
                    name[:100].replace("~", "~0").replace("/", "~1"), f"is not a known field{_closest(name, known)}"
                )
            more += 1
        if more > MOST_UNKNOWN:
            self.refuse("", f"has {more - MOST_UNKNOWN:,} more fields that are not known.")

    def text(self, name: str, *, limit: int = MAX_TEXT_CHARACTERS) -> str:
        """Return the text, or "" if the field is missing or null."""
        value = self.row.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.refuse(name, f"must be text, this is {NAME_OF_TYPE.get(type(value), type(value).__name__)}.")
            return ""
        if len(value) > limit:
            self.refuse(name, f"has {len(value):,} characters, the limit is {limit:,}.")
            return ""
        if why := why_not_text(value):
            self.refuse(name, why)
            return ""
        return value

    def required(self, name: str, *, limit: int) -> str:
        value = self.text(name, limit=limit).strip()
        if not value and not any(error.pointer == f"{self.at}/{name}" for error in self.errors):
            self.refuse(name, "is missing.")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.row.get(name) is None else self.text(name)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.row.get(name)
        if not value:
            return {}
        if not isinstance(value, dict):
            self.refuse(name, f"must be an object, this is {NAME_OF_TYPE.get(type(value), type(value).__name__)}.")
            return {}
        self.fits(name, value)
        return value

    def fits(self, name: str, value: object, *, limit: int = MAX_METADATA_BYTES) -> None:
        """Check that a value stored as JSON is within `limit` bytes and storable in the database."""
        if found := why_not_json(value):
            self.refuse(f"{name}{found.pointer}", found.detail)
            return
        written = orjson.dumps(value)
        if len(written) > limit:
            self.refuse(name, f"is {len(written):,} bytes of JSON, the limit is {limit:,}.")

    def sequence(self, name: str) -> list[Any]:
        value = self.row.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(name, f"must be a list, this is {NAME_OF_TYPE.get(type(value), type(value).__name__)}.")
            return []
        return value

    def modality(self) -> str:
        """Return the modality claimed by the sender. `text_image` is accepted as `text-image`."""
        value = self.text("modality", limit=20).replace("_", "-")
        if value and value not in MODALITIES:
            self.refuse(
                "modality",
                f"is {value!r}. Use {', '.join(sorted(MODALITIES))}, or leave it out: it is read off the content.",
            )
            return ""
        return value

    def language(self, name: str) -> str:
        """Return the language claimed by the sender as a BCP 47 code, or "" if there is none."""
        value = self.text(name, limit=40).strip()
        code = language_code(value)
        if value and not code:
            self.refuse(
                name, f"is {value!r}. Write a BCP 47 code of at most 16 characters, as in en, pt-BR or zh-Hant."
            )
        return code

    def moment(self, name: str) -> datetime | None:
        value = self.text(name, limit=40)
        if not value:
            return None
        try:
            moment = parse_datetime(value)
        except ValueError:
            moment = None
        try:
            if moment is not None:
                return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)
        # within hours of datetime.min or datetime.max, in another time zone
        except OverflowError:
            pass
        self.refuse(name, f"is {value!r}. Write a date and time as in 2025-01-31T12:00:00Z.")
        return None


def _closest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name[:100], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f". Known here: {', '.join(sorted(known))}."
