"""The indexes of trigrams over the texts of items. They are made after `migrate`, and again whenever one is missing.

SQLite has an FTS5 table that triggers keep. PostgreSQL has a GIN index, which needs the extension pg_trgm: any owner of
the database may create it, if the server has it. Where it is missing, searches find the same by reading the texts from
the newest on, and `migrate` says what to do.
"""

import logging
import time
from typing import Any

from django.db import DatabaseError, connection, connections, transaction

logger = logging.getLogger(__name__)

NAME = "annotation_itemtext_trigrams"  # of the table on SQLite, of the index on PostgreSQL
TABLE = """CREATE VIRTUAL TABLE annotation_itemtext_trigrams USING fts5(
    text, content='annotation_itemtext', content_rowid='item_id', tokenize='trigram case_sensitive 1')"""
TRIGGERS = {
    "annotation_itemtext_insert": """AFTER INSERT ON annotation_itemtext BEGIN
        INSERT INTO annotation_itemtext_trigrams(rowid, text) VALUES (new.item_id, new.text); END""",
    "annotation_itemtext_delete": """AFTER DELETE ON annotation_itemtext BEGIN
        INSERT INTO annotation_itemtext_trigrams(annotation_itemtext_trigrams, rowid, text)
        VALUES ('delete', old.item_id, old.text); END""",
    "annotation_itemtext_update": """AFTER UPDATE ON annotation_itemtext BEGIN
        INSERT INTO annotation_itemtext_trigrams(annotation_itemtext_trigrams, rowid, text)
        VALUES ('delete', old.item_id, old.text);
        INSERT INTO annotation_itemtext_trigrams(rowid, text) VALUES (new.item_id, new.text); END""",
}
WITHOUT_EXTENSION = (
    "PostgreSQL's extension pg_trgm cannot be created (%s). Searches still find everything, but read all texts for it. "
    "Let an administrator of the database run CREATE EXTENSION pg_trgm, then run migrate again."
)
ASK_AGAIN_S = 60.0
_there: tuple[float, bool] = (0.0, False)


def ensure_index(*, using: str, **_of_the_signal: Any) -> None:
    """Make what is missing. A receiver of post_migrate."""
    database = connections[using]
    if "annotation_itemtext" not in database.introspection.table_names():
        return
    if database.vendor == "sqlite":
        _ensure_on_sqlite(using)
    else:
        _ensure_on_postgresql(using)


def has_index() -> bool:
    """Whether an index finds a trigram: always on SQLite; asked once a minute on PostgreSQL."""
    global _there  # noqa: PLW0603  (what one process knows of its database)
    if connection.vendor == "sqlite":
        return True
    asked, there = _there
    if not there or time.monotonic() - asked > ASK_AGAIN_S:
        _there = time.monotonic(), _valid(connection)
    return _there[1]


def _ensure_on_sqlite(using: str) -> None:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name = %s OR tbl_name = 'annotation_itemtext'", [NAME])
        there = {name for (name,) in cursor.fetchall()}
        missing = TRIGGERS.keys() - there
        if NAME in there and not missing:
            return
        if NAME not in there:
            cursor.execute(TABLE)
        for name in sorted(missing):
            cursor.execute(f"CREATE TRIGGER {name} {TRIGGERS[name]}")
        cursor.execute("INSERT INTO annotation_itemtext_trigrams(annotation_itemtext_trigrams) VALUES ('rebuild')")


def _ensure_on_postgresql(using: str) -> None:
    database = connections[using]
    if _valid(database):
        return
    try:
        with transaction.atomic(using=using), database.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError as error:
        logger.warning(WITHOUT_EXTENSION, str(error).splitlines()[0])
        return
    quietly = "" if database.in_atomic_block else "CONCURRENTLY"
    with database.cursor() as cursor:
        cursor.execute(f"DROP INDEX {quietly} IF EXISTS {NAME}")
        cursor.execute(f"CREATE INDEX {quietly} {NAME} ON annotation_itemtext USING gin (text gin_trgm_ops)")


def _valid(database: Any) -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid", [NAME])
        return cursor.fetchone() is not None
