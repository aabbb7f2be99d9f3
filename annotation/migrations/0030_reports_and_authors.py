"""Reports and authors as rows of their own, and the context that items come with."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from annotation.database.migration_operations import AddFieldInPlace


class Migration(migrations.Migration):
    dependencies = [('annotation', '0029_withdrawn_checks')]

    operations = [
        migrations.CreateModel(
            name='Author',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=100)),
                ('external_id', models.CharField(max_length=200)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('url', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(blank=True, help_text='of the account, as the platform says', null=True)),
                ('strikes', models.PositiveIntegerField(blank=True, null=True)),
                ('first_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('source', 'external_id'), name='author_is_known_once_a_source')],
                'indexes': [models.Index(fields=['external_id'], name='author_by_external_id')],
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('item', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='reports', to='annotation.item')),
                ('reporter', models.CharField(blank=True, help_text='as the platform names them; empty: not told', max_length=200)),
                ('reason', models.JSONField(blank=True, default=dict)),
                ('reported_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, help_text='when it came in')),
                ('digest', models.CharField(max_length=32)),
            ],
            options={
                'ordering': ['id'],
                'constraints': [models.UniqueConstraint(fields=('item', 'digest'), name='a_report_is_kept_once')],
            },
        ),
        AddFieldInPlace(
            model_name='item',
            name='report_count',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='rows of Report; see ingest.reports'),
        ),
        AddFieldInPlace(
            model_name='item',
            name='author',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='items', to='annotation.author'),
        ),
        AddFieldInPlace(
            model_name='item',
            name='thread',
            field=models.JSONField(blank=True, db_default=[], default=list, help_text='messages around the item: see ingest.read_context'),
        ),
        AddFieldInPlace(
            model_name='item',
            name='url',
            field=models.TextField(blank=True, db_default='', default='', help_text='where the item stands on the platform'),
        ),
        migrations.AlterField(
            model_name='item',
            name='round',
            field=models.PositiveSmallIntegerField(default=1, help_text='grows when an appeal, a new policy or reports reopen the item'),
        ),
        migrations.AddField(
            model_name='reviewqueue',
            name='reopen_after_reports',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text='so many new reports since the decision reopen an item; 0: none do'),
        ),
    ]
