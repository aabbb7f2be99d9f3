"""`manage.py migrate` with a lock timeout on PostgreSQL.

A schema change waits for the current users of its table, and all other queries on the table wait behind it.
"""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Migrate
from django.db import OperationalError, connections

from annotation.database.outages import DATABASE_BUSY, trouble_of

LOCK_TIMEOUT_S = 5


class Command(Migrate):
    help = f"{Migrate.help} On PostgreSQL it waits at most {LOCK_TIMEOUT_S} s for a table."

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if trouble_of(error) is not DATABASE_BUSY:
                raise
            raise CommandError(
                f"A table was in use for longer than {LOCK_TIMEOUT_S} s, so the migration at hand was not made; those "
                "before it were. Nothing is half done. Run it again, at a quieter moment if need be."
            ) from error
