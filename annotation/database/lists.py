"""Keep list pages cheap: defer long texts that only detail pages show, find by beginnings, and limit counting."""

from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

# rows; above this, a page shows "over" instead of an exact count
COUNTED_UP_TO = 10_000
LAST_CHARACTER = "\U0010ffff"
LONG = {
    "item": ("response", "messages", "metadata", "thread"),
    "prediction": ("completion", "rollouts", "steps"),
    "review": ("steps",),
    "gold": ("target_steps",),
}


def long_texts(**places: str) -> list[str]:
    """The long text fields to pass to defer().

    `places` are the query's paths to its item, prediction, review and gold; "" for the query's own rows.
    """
    return [f"{place}__{column}" if place else column for kind, place in places.items() for column in LONG[kind]]


def begins_with(column: str, text: str) -> Q:
    """Rows whose column begins with this text, upper and lower case told apart, found by an index of the column.

    SQLite's LIKE uses no index where the text is escaped, and ignores case.
    """
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__startswith": text})
    return Q(**{f"{column}__gte": text, f"{column}__lt": text + LAST_CHARACTER})


def count_some(rows: QuerySet[Any], most: int = COUNTED_UP_TO) -> int:
    """Count rows up to `most` + 1, which means "more than `most`"."""
    return rows.order_by()[: most + 1].count()
