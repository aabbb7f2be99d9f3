"""When moderated content is reviewed or blocked."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0009_review_upholds'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModerationThreshold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('category', models.CharField(max_length=16, unique=True)),
                ('review_at', models.FloatField(default=0.5)),
                ('block_at', models.FloatField(default=0.9)),
                ('queue', models.ForeignKey(blank=True, help_text='where content to review goes; empty: the default queue', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='annotation.reviewqueue')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('review_at__gte', 0)), name='moderation_review_at_is_a_score'), models.CheckConstraint(condition=models.Q(('block_at__gte', models.F('review_at'))), name='moderation_blocks_from_where_it_reviews')],
            },
        ),
    ]
