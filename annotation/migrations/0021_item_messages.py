"""Conversations: what came before the judged prompt and response."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('annotation', '0020_windows')]
    operations = [
        migrations.AddField(
            model_name='item',
            name='messages',
            field=models.JSONField(
                blank=True, db_default=[], default=list, help_text='the conversation before prompt and response'
            ),
        )
    ]
