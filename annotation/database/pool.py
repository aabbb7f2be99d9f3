"""A thread gives its pooled connection back while it waits for something else than the database."""

from django.db import connection


def release_connection() -> None:
    """Before a wait for the guard, or for a slow reader. The next query takes one again; without a pool nothing
    happens.
    """
    if "pool" in connection.settings_dict.get("OPTIONS", {}) and not connection.in_atomic_block:
        connection.close()
