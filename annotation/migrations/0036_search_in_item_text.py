"""Drop the index of words; note from where a worker has to write the texts of the items that are there."""

from django.db import migrations
from django.db.models import Max

SQLITE = [
    "DROP TRIGGER IF EXISTS annotation_item_text_insert",
    "DROP TRIGGER IF EXISTS annotation_item_text_delete",
    "DROP TRIGGER IF EXISTS annotation_item_text_update",
    "DROP TABLE IF EXISTS annotation_item_text",
]
POSTGRESQL = ["DROP INDEX CONCURRENTLY IF EXISTS annotation_item_text"]


def begin(apps, schema_editor):
    last = apps.get_model("annotation", "Item").objects.aggregate(last=Max("pk"))["last"]
    if last:
        apps.get_model("annotation", "SearchFill").objects.create(below=last + 1, total=last + 1)
    with schema_editor.connection.cursor() as cursor:
        for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
            cursor.execute(statement)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("annotation", "0035_item_text")]
    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
