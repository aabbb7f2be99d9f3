"""A column that says whether everybody may work on a queue. 0023 fills it; a row of the release before has False."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('annotation', '0021_item_messages')]
    operations = [
        migrations.AddField(
            model_name='reviewqueue',
            name='everybody',
            field=models.BooleanField(
                db_default=False, default=True, help_text='every reviewer works on it, not only its groups'
            ),
        ),
        migrations.AlterField(
            model_name='reviewqueue',
            name='groups',
            field=models.ManyToManyField(
                blank=True,
                help_text='whose members work on it if it is not for everybody',
                related_name='queues',
                to='annotation.reviewergroup',
            ),
        ),
    ]
