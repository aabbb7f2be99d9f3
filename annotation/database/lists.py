"""What lists leave in the database: long texts that only the page of one thing shows, and counting further than a page
needs.
"""

from typing import Any

from django.db.models import QuerySet

COUNTED_UP_TO = 10_000  # rows: a page says "over" instead of counting all
LONG = {
    "item": ("response", "metadata"),
    "prediction": ("completion", "rollouts", "steps"),
    "review": ("steps",),
    "gold": ("target_steps",),
}


def long_texts(**places: str) -> list[str]:
    """For defer(): where the query has its item, prediction, review and gold; "" where they are its own rows."""
    return [f"{place}__{column}" if place else column for kind, place in places.items() for column in LONG[kind]]


def count_some(rows: QuerySet[Any], most: int = COUNTED_UP_TO) -> int:
    """At most `most` + 1, which stands for more."""
    return rows.order_by()[: most + 1].count()
