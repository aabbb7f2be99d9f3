"""`skipped_at` of the items that were skipped before there was such a column, in windows of ids."""

from django.db import migrations
from django.db.models import Max

WINDOW = 20_000


def fill(apps, schema_editor):
    assignments = apps.get_model("annotation", "Assignment").objects.filter(state="skipped")
    items = apps.get_model("annotation", "Item").objects
    last = assignments.aggregate(last=Max("item_id"))["last"] or 0
    for start in range(0, last + 1, WINDOW):
        window = assignments.filter(
            item_id__gte=start, item_id__lt=start + WINDOW, item__status="ready", item__skipped_at__isnull=True
        )
        for item, at in window.values_list("item_id").annotate(at=Max("ended_at")):
            if at is not None:
                items.filter(pk=item).update(skipped_at=at)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("annotation", "0025_skips_and_undo")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
