"""For the list of an author's items, and of the items with the most reports."""

from django.db import migrations, models

from annotation.database.migration_operations import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('annotation', '0031_queue_order_by_reports')]

    operations = [
        AddIndexQuietly(
            model_name='item',
            index=models.Index(condition=models.Q(('author__isnull', False)), fields=['author', '-id'], name='item_of_author'),
        ),
        AddIndexQuietly(
            model_name='item',
            index=models.Index(condition=models.Q(('report_count__gt', 1)), fields=['-report_count', '-id'], name='item_most_reported'),
        ),
    ]
