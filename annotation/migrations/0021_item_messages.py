"""Conversations: what came before the judged prompt and response."""

from django.db import migrations, models

from annotation.database.migration_operations import AddFieldInPlace


class Migration(migrations.Migration):
    dependencies = [('annotation', '0020_windows')]
    operations = [
        AddFieldInPlace(
            model_name='item',
            name='messages',
            field=models.JSONField(
                blank=True, db_default=[], default=list, help_text='the conversation before prompt and response'
            ),
        )
    ]
