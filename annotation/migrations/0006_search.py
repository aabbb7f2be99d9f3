"""Full-text search of prompts and responses: FTS5 on SQLite, kept by triggers; a GIN index on PostgreSQL."""

from django.db import migrations

SQLITE = [
    """CREATE VIRTUAL TABLE annotation_item_text USING fts5(
           prompt, response, content='annotation_item', content_rowid='id', tokenize="unicode61 remove_diacritics 0")""",
    """CREATE TRIGGER annotation_item_text_insert AFTER INSERT ON annotation_item BEGIN
           INSERT INTO annotation_item_text(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END""",
    """CREATE TRIGGER annotation_item_text_delete AFTER DELETE ON annotation_item BEGIN
           INSERT INTO annotation_item_text(annotation_item_text, rowid, prompt, response)
           VALUES ('delete', old.id, old.prompt, old.response); END""",
    """CREATE TRIGGER annotation_item_text_update AFTER UPDATE OF prompt, response ON annotation_item BEGIN
           INSERT INTO annotation_item_text(annotation_item_text, rowid, prompt, response)
           VALUES ('delete', old.id, old.prompt, old.response);
           INSERT INTO annotation_item_text(rowid, prompt, response) VALUES (new.id, new.prompt, new.response); END""",
    "INSERT INTO annotation_item_text(annotation_item_text) VALUES ('rebuild')",
]
SQLITE_BACK = [
    "DROP TRIGGER annotation_item_text_insert", "DROP TRIGGER annotation_item_text_delete", "DROP TRIGGER annotation_item_text_update",
    "DROP TABLE annotation_item_text",
]
# 100,000 characters: a tsvector holds one megabyte
POSTGRESQL = ["""CREATE INDEX annotation_item_text ON annotation_item
    USING gin (to_tsvector('simple', left(prompt || ' ' || coalesce(response, ''), 100000)))"""]
POSTGRESQL_BACK = ["DROP INDEX annotation_item_text"]


def make(apps, schema_editor):
    run(schema_editor, {"sqlite": SQLITE, "postgresql": POSTGRESQL})


def remove(apps, schema_editor):
    run(schema_editor, {"sqlite": SQLITE_BACK, "postgresql": POSTGRESQL_BACK})


def run(schema_editor, statements):
    for statement in statements.get(schema_editor.connection.vendor, []):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0005_rerouting")]
    operations = [migrations.RunPython(make, remove)]
