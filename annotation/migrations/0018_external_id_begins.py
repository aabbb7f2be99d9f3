"""For the list of items, which finds an external id by its beginning."""

from django.db import migrations, models

from annotation.database.migration_operations import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('annotation', '0017_indexes_of_lists'),
    ]

    operations = [
        AddIndexQuietly(model_name='item', index=models.Index(fields=['external_id'], name='item_external_id_begins', opclasses=['varchar_pattern_ops'])),
    ]
