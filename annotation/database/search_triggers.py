"""The triggers that keep SQLite's full-text search of items.

Django changes most columns of SQLite by making the table anew, and triggers go with the old one. They are therefore
checked after every `migrate`, whatever it did.
"""

from typing import Any

from django.db import connections, transaction

TRIGGERS = {
    "annotation_item_text_insert": """AFTER INSERT ON annotation_item BEGIN
        INSERT INTO annotation_item_text(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END""",
    "annotation_item_text_delete": """AFTER DELETE ON annotation_item BEGIN
        INSERT INTO annotation_item_text(annotation_item_text, rowid, prompt, response)
        VALUES ('delete', old.id, old.prompt, old.response); END""",
    "annotation_item_text_update": """AFTER UPDATE OF prompt, response ON annotation_item BEGIN
        INSERT INTO annotation_item_text(annotation_item_text, rowid, prompt, response)
        VALUES ('delete', old.id, old.prompt, old.response);
        INSERT INTO annotation_item_text(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END""",
}


def restore_triggers(*, using: str, **_of_the_signal: Any) -> None:
    """Make missing triggers, and index the items again if there were any missing. A receiver of post_migrate."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name LIKE 'annotation_item_text%'")
        there = {name for (name,) in cursor.fetchall()}
        missing = TRIGGERS.keys() - there
        if "annotation_item_text" not in there or not missing:
            return
        for name in sorted(missing):
            cursor.execute(f"CREATE TRIGGER {name} {TRIGGERS[name]}")
        cursor.execute("INSERT INTO annotation_item_text(annotation_item_text) VALUES ('rebuild')")
