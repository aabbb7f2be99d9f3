"""Release a thread's pooled connection while it waits for something other than the database."""

from django.db import connection


def release_connection() -> None:
    """Call before waiting for the guard or a slow reader.

    The next query takes a connection again; without a pool this does nothing.
    """
    if "pool" in connection.settings_dict.get("OPTIONS", {}) and not connection.in_atomic_block:
        connection.close()
