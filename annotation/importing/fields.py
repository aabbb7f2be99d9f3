"""Reads the members of a JSON object, each checked, with errors that name the member by its JSON pointer."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from annotation.ingest.values import FieldError

LARGEST = 2**31 - 1


class RecordNotReadable(ValueError):
    """A record cannot be imported; `error` names the member and the fix."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer.removeprefix('/') or 'the record'} {detail}")
        self.error = FieldError(pointer, detail)


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object and its pointer in the record. Every method raises RecordNotReadable."""

    value: Mapping[str, Any]
    pointer: str = ""

    @classmethod
    def of(cls, value: object, pointer: str = "") -> "Fields":
        if not isinstance(value, dict):
            raise RecordNotReadable(pointer, "must be a JSON object.")
        return cls(value, pointer)

    def wrong(self, name: str, detail: str) -> RecordNotReadable:
        return RecordNotReadable(f"{self.pointer}/{name}", detail)

    def has(self, name: str) -> bool:
        return self.value.get(name) is not None

    def text(self, name: str, most: int = 0, *, default: str | None = None, empty: bool = True) -> str:
        found = self.value.get(name, default)
        if found is None and default is not None:
            found = default
        if not isinstance(found, str):
            raise self.wrong(name, "is missing: it must be a text." if found is None else "must be a text.")
        if most and len(found) > most:
            raise self.wrong(name, f"is longer than {most:,} characters.")
        if not empty and not found.strip():
            raise self.wrong(name, "is empty.")
        return found

    def text_or_none(self, name: str, most: int = 0) -> str | None:
        return self.text(name, most) if self.has(name) else None

    def choice(self, name: str, choices: Collection[str], *, default: str | None = None) -> str:
        found = self.text(name, default=default)
        if found not in choices:
            raise self.wrong(name, f"is none of {', '.join(choices)}.")
        return found

    def choice_or_none(self, name: str, choices: Collection[str]) -> str | None:
        return self.choice(name, choices) if self.has(name) else None

    def whole(self, name: str, low: int = 0, high: int = LARGEST, *, default: int | None = None) -> int:
        found = self.value.get(name, default)
        found = default if found is None else found
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise self.wrong(name, f"must be a whole number from {low:,} to {high:,}.")
        return found

    def whole_or_none(self, name: str, low: int = 0, high: int = LARGEST) -> int | None:
        return self.whole(name, low, high) if self.has(name) else None

    def number(self, name: str, *, default: float | None = None) -> float:
        found = self.value.get(name, default)
        found = default if found is None else found
        if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
            raise self.wrong(name, "must be a number.")
        return float(found)

    def number_or_none(self, name: str) -> float | None:
        return self.number(name) if self.has(name) else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        found = self.value.get(name, default)
        if not isinstance(found, bool):
            raise self.wrong(name, "must be true or false.")
        return found

    def moment(self, name: str) -> datetime:
        found = self.text(name)
        try:
            at = datetime.fromisoformat(found)
        except ValueError:
            raise self.wrong(name, "is no time as in 2025-01-31T12:00:00Z.") from None
        try:
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except OverflowError:
            raise self.wrong(name, "is outside the years 1 to 9999.") from None

    def moment_or_none(self, name: str) -> datetime | None:
        return self.moment(name) if self.has(name) else None

    def mapping(self, name: str) -> dict[str, Any]:
        found = self.value.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise self.wrong(name, "must be a JSON object.")
        return found

    def listed(self, name: str) -> list[Any]:
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise self.wrong(name, "must be a list.")
        return found

    def texts(self, name: str, most: int = 0) -> list[str]:
        found = self.listed(name)
        for place, one in enumerate(found):
            if not isinstance(one, str) or (most and len(one) > most):
                limit = f" of at most {most} characters" if most else ""
                raise self.wrong(f"{name}/{place}", f"must be a text{limit}.")
        return found

    def inner(self, name: str) -> "Fields":
        if not self.has(name):
            raise self.wrong(name, "is missing.")
        return Fields.of(self.value[name], f"{self.pointer}/{name}")

    def inner_or_none(self, name: str) -> "Fields | None":
        return self.inner(name) if self.has(name) else None

    def each(self, name: str) -> Iterator["Fields"]:
        for place, one in enumerate(self.listed(name)):
            yield Fields.of(one, f"{self.pointer}/{name}/{place}")
