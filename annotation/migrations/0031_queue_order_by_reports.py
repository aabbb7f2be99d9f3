"""A queue can be ordered by the number of reports."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('annotation', '0030_reports_and_authors')]

    operations = [
        migrations.RemoveConstraint(model_name='reviewqueue', name='queue_order_is_known'),
        migrations.AlterField(
            model_name='reviewqueue',
            name='order',
            field=models.CharField(choices=[('risk', 'Doubt, severity, reports and age'), ('disagreement', 'Disagreement of the guard with itself'), ('severity', 'Severity'), ('oldest', 'Oldest report first'), ('reports', 'Most reported first'), ('random', 'Random, the same for everybody')], default='risk', max_length=16),
        ),
        migrations.AddConstraint(
            model_name='reviewqueue',
            constraint=models.CheckConstraint(condition=models.Q(('order__in', ['risk', 'disagreement', 'severity', 'oldest', 'reports', 'random'])), name='queue_order_is_known'),
        ),
    ]
