"""Typed readers of environment variables. An invalid value raises an error that names the variable and the fix.

Each reader registers its variable with the description shown in docs/settings.md, so that there is no second list of
names to maintain.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable as shown in the documentation. All fields but `name` are Markdown."""

    name: str
    section: str
    value: str
    default: str
    means: str


REGISTER: dict[str, Variable] = {}


@dataclass(frozen=True, slots=True)
class Section:
    """A section of docs/settings.md with its variables. `shown` describes a default that is not a plain value."""

    title: str

    def text(self, name: str, default: str, means: str, *, shown: str = "") -> str:
        self._register(name, "text", shown or _code(default), means)
        return os.environ.get(name, default).strip()

    def integer(self, name: str, default: int, means: str, *, minimum: int = 0, shown: str = "") -> int:
        self._register(name, f"whole number, at least {minimum}", shown or _code(str(default)), means)
        raw = os.environ.get(name)
        return default if raw is None else _integer(name, raw, minimum)

    def boolean(self, name: str, default: bool, means: str) -> bool:
        self._register(name, "`0` or `1`", _code(str(int(default))), means)
        raw = os.environ.get(name)
        return default if raw is None else _boolean(name, raw)

    def choice(self, name: str, default: str, allowed: Sequence[str], means: str) -> str:
        self._register(name, ", ".join(map(_code, allowed)), _code(default), means)
        value = os.environ.get(name, default).strip()
        if value not in allowed:
            raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(sorted(allowed))}.")
        return value

    def path(self, name: str, default: Path, means: str, *, shown: str) -> Path:
        self._register(name, "path", shown, means)
        return Path(os.environ.get(name) or default).expanduser().resolve()

    def words(self, name: str, default: str, means: str, *, shown: str = "") -> list[str]:
        """Read a comma-separated list, dropping empty entries."""
        self._register(name, "list, comma-separated", shown or _code(default), means)
        return _words(os.environ.get(name, default))

    def days(self, name: str, known: Iterable[str], means: str) -> dict[str, int]:
        """Read `messages=30,exports=7` as whole days by name."""
        self._register(name, "`NAME=DAYS`, comma-separated", "empty", means)
        return parse_days(name, os.environ.get(name, ""), known)

    def named(self, name: str, means: str) -> dict[str, list[str]]:
        """Read `gpu=http://a:8000,gpu=http://b:8000` as values by name."""
        self._register(name, "`NAME=VALUE`, comma-separated", "empty", means)
        found: dict[str, list[str]] = {}
        for word in _words(os.environ.get(name, "")):
            what, _, value = word.partition("=")
            if not what.strip() or not value.strip():
                raise ImproperlyConfigured(f"{name}: {word!r} is not NAME=VALUE.")
            found.setdefault(what.strip(), []).append(value.strip())
        return found

    def elsewhere(self, name: str, value: str, default: str, means: str) -> None:
        """Register a variable that is read outside the settings: by a library, by the tests, or before Django."""
        self._register(name, value, default, means)

    def _register(self, name: str, value: str, default: str, means: str) -> None:
        variable = Variable(name, self.title, value, default, means)
        if REGISTER.setdefault(name, variable) != variable:
            raise ImproperlyConfigured(f"{name} is read in two places; read it in one and import it.")


def parse_days(name: str, given: str, known: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    names = sorted(known)
    for word in _words(given):
        what, _, number = word.partition("=")
        if what.strip() not in names or not number.strip().isdecimal():
            raise ImproperlyConfigured(f"{name}: {word!r} is not NAME=DAYS with one of the names {', '.join(names)}.")
        found[what.strip()] = int(number)
    return found


def refuse_unknown(prefix: str) -> None:
    """Make a misspelt setting an error instead of a silent default."""
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in REGISTER)
    if unknown:
        raise ImproperlyConfigured(
            f"Unknown setting {', '.join(unknown)}: see docs/settings.md for the names that {prefix}* may have."
        )


def _integer(name: str, raw: str, minimum: int) -> int:
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number.") from None
    if value < minimum:
        raise ImproperlyConfigured(f"{name}={value} is below {minimum}.")
    return value


def _boolean(name: str, raw: str) -> bool:
    given = raw.strip().lower()
    if given not in BOOLEANS and given:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a yes or no: use 1 or 0.")
    return BOOLEANS.get(given, False)


def _words(given: str) -> list[str]:
    return [word.strip() for word in given.split(",") if word.strip()]


def _code(value: str) -> str:
    return f"`{value}`" if value else "empty"
