"""Check the stored rows against the constraints that 0028 changed."""

from django.db import migrations

from annotation.database.migration_operations import ValidateCheckQuietly


class Migration(migrations.Migration):
    dependencies = [('annotation', '0028_withdrawn')]
    operations = [
        ValidateCheckQuietly(model_name='item', name='item_status_is_known'),
        ValidateCheckQuietly(model_name='queuetally', name='tally_status_is_known'),
        ValidateCheckQuietly(model_name='appeal', name='appeal_state_is_known'),
    ]
