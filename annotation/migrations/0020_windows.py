"""For content judged in parts or not at all, and for items that workers claim apart."""

from django.db import migrations, models

from annotation.database.migration_operations import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('annotation', '0019_hidden_gold'),
    ]

    operations = [
        migrations.AddField(
            model_name='item',
            name='apart',
            field=models.BooleanField(
                help_text='claimed apart from the others: it is long, or an attempt on it failed', null=True
            ),
        ),
        migrations.AddField(
            model_name='prediction',
            name='windows',
            field=models.JSONField(blank=True, null=True),
        ),
        AddIndexQuietly(
            model_name='item',
            index=models.Index(
                models.OrderBy(models.F('priority'), descending=True),
                models.F('id'),
                condition=models.Q(('apart', True), ('status', 'pending')),
                name='item_next_to_predict_apart',
            ),
        ),
        AddIndexQuietly(
            model_name='item',
            index=models.Index(
                condition=models.Q(('error_code', 'too_long_for_the_guard')), fields=['-id'], name='item_too_long'
            ),
        ),
    ]
