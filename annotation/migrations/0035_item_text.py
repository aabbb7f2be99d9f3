"""The text that searches look into. 0036 begins to fill it; its indexes are made after `migrate`: database.search_index."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0034_queue_demands")]
    operations = [
        migrations.CreateModel(
            name="ItemText",
            fields=[
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="text_for_search",
                        serialize=False,
                        to="annotation.item",
                    ),
                ),
                ("text", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="SearchFill",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("below", models.BigIntegerField(help_text="items with lower ids have no text yet")),
                ("total", models.BigIntegerField(help_text="ids at the beginning")),
            ],
        ),
    ]
