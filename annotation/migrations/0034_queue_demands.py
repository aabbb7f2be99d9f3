"""What a queue demands of a harmful verdict."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('annotation', '0033_first_reports')]
    operations = [
        migrations.AddField(
            model_name='reviewqueue',
            name='demands',
            field=models.JSONField(
                blank=True, db_default=[], default=list, help_text='of a harmful verdict: category, severity, reason'
            ),
        )
    ]
