"""A pooled connection is lent back while its thread waits for something else than the database."""

from django.db import connection


def lend_connection() -> None:
    """Before a wait for the guard, or for a slow reader. The next query takes one again; without a pool nothing
    happens.
    """
    if "pool" in connection.settings_dict.get("OPTIONS", {}) and not connection.in_atomic_block:
        connection.close()
