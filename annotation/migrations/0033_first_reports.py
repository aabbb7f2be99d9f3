"""The reason and the time that an item came with are its first report. By windows of ids, each in its own transaction;
a migration that was stopped goes on where no report is yet.
"""

import hashlib

import orjson
from django.db import migrations, transaction
from django.db.models import Max, Q

WINDOW = 2_000


def make_rows(apps, schema_editor):
    item_model, report_model = apps.get_model("annotation", "Item"), apps.get_model("annotation", "Report")
    last = item_model.objects.aggregate(last=Max("pk"))["last"] or 0
    told = item_model.objects.filter(~Q(reason={}) | Q(reported_at__isnull=False), report_count=0)
    for low in range(0, last, WINDOW):
        with transaction.atomic():
            window = told.filter(pk__gt=low, pk__lte=low + WINDOW).select_for_update().order_by("pk")
            rows = list(window.values_list("pk", "reason", "reported_at", "created_at"))
            report_model.objects.bulk_create(
                [
                    report_model(item_id=pk, reason=reason, reported_at=at, created_at=came_in, digest=digest(reason, at))
                    for pk, reason, at, came_in in rows
                ],
                ignore_conflicts=True,
            )
            item_model.objects.filter(pk__in=[row[0] for row in rows]).update(report_count=1)


def digest(reason, reported_at):
    """As annotation.ingest.values has it for a report without a reporter."""
    written = orjson.dumps(["", reason, reported_at and reported_at.isoformat()], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()[:32]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('annotation', '0032_indexes_of_reports')]

    operations = [migrations.RunPython(make_rows, migrations.RunPython.noop, elidable=True)]
