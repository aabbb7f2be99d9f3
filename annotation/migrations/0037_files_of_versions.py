"""The sha256 of every file of a version's checkpoint, as registered; null for versions of earlier releases."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('annotation', '0036_search_in_item_text')]
    operations = [
        migrations.AddField(
            model_name='modelversion',
            name='files',
            field=models.JSONField(
                blank=True, help_text='sha256 by name of the files that it was registered with', null=True
            ),
        )
    ]
