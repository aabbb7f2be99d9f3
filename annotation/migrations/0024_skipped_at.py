"""When somebody last skipped an item."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0023_queues_without_groups_are_for_everybody")]
    operations = [
        migrations.AddField(
            model_name="item",
            name="skipped_at",
            field=models.DateTimeField(
                blank=True, help_text="when somebody last skipped it; items.skipped says who is left", null=True
            ),
        )
    ]
