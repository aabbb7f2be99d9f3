"""Typed readers of environment variables. An invalid value raises an error that names the variable and the fix."""

import os
from collections.abc import Iterable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str) -> str:
    return os.environ.get(name, default).strip()


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    raw = os.environ.get(name)
    if raw is None:
        return default
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number.") from None
    if value < minimum:
        raise ImproperlyConfigured(f"{name}={value} is below {minimum}.")
    return value


def boolean(name: str, default: bool) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    known = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
        "": False,
    }
    try:
        return known[raw.strip().lower()]
    except KeyError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a yes or no: use 1 or 0.") from None


def choice(name: str, default: str, allowed: Iterable[str]) -> str:
    value = text(name, default)
    options = sorted(allowed)
    if value not in options:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(options)}.")
    return value


def path(name: str, default: Path) -> Path:
    return Path(os.environ.get(name) or default).expanduser().resolve()


def words(name: str, default: str) -> list[str]:
    """Read a comma-separated list, dropping empty entries."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def days(name: str, known: Iterable[str]) -> dict[str, int]:
    """Read `messages=30,exports=7` as whole days by name."""
    given: dict[str, int] = {}
    names = sorted(known)
    for word in words(name, ""):
        what, _, number = word.partition("=")
        if what.strip() not in names or not number.strip().isdecimal():
            raise ImproperlyConfigured(f"{name}: {word!r} is not NAME=DAYS with one of the names {', '.join(names)}.")
        given[what.strip()] = int(number)
    return given


def refuse_unknown(prefix: str, known: Iterable[str]) -> None:
    """Make a misspelt setting an error instead of a silent default."""
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in set(known))
    if unknown:
        raise ImproperlyConfigured(
            f"Unknown setting {', '.join(unknown)}: see docs/settings.md for the names that {prefix}* may have."
        )
