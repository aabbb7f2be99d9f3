"""Indexes: what a person did last, and waiting items that somebody has skipped."""

from django.db import migrations, models

from annotation.database.migration_operations import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("annotation", "0024_skipped_at")]
    operations = [
        AddIndexQuietly(
            model_name="assignment",
            index=models.Index(
                fields=["reviewer", "-ended_at", "-id"],
                condition=models.Q(("state__in", ("submitted", "skipped", "escalated"))),
                name="assignment_last_of_reviewer",
            ),
        ),
        AddIndexQuietly(
            model_name="item",
            index=models.Index(
                fields=["-id"],
                condition=models.Q(("skipped_at__isnull", False), ("status", "ready")),
                name="item_waiting_and_skipped",
            ),
        ),
    ]
