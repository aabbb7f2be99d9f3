"""Withdrawn items, and messages about an item in order."""

import django.db.models.deletion
from django.db import migrations, models

from annotation.database.migration_operations import AddIndexQuietly, ChangeCheckQuietly

STATUSES = ['pending', 'predicting', 'ready', 'escalated', 'reviewed', 'prediction_failed', 'withdrawn']
CHOICES = [('pending', 'Waiting for the guard'), ('predicting', 'The guard is reasoning'), ('ready', 'Ready for review'), ('escalated', 'Escalated to a lead'), ('reviewed', 'Reviewed'), ('prediction_failed', 'Prediction failed'), ('withdrawn', 'Withdrawn by its sender')]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [('annotation', '0027_how_sure')]

    operations = [
        migrations.AddField(
            model_name='item',
            name='withdrawn_at',
            field=models.DateTimeField(blank=True, help_text='when its sender took it back: items.withdraw', null=True),
        ),
        migrations.AddField(
            model_name='delivery',
            name='item',
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text='the item it is about: it waits for the earlier messages about it',
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name='+',
                to='annotation.item',
            ),
        ),
        migrations.AlterField(
            model_name='appeal',
            name='state',
            field=models.CharField(choices=[('open', 'Open'), ('upheld', 'The verdict stands'), ('overturned', 'The verdict was changed'), ('withdrawn', 'Not decided: the item was withdrawn')], default='open', max_length=16),
        ),
        migrations.AlterField(
            model_name='item', name='status', field=models.CharField(choices=CHOICES, default='pending', max_length=20)
        ),
        migrations.AlterField(
            model_name='queuetally', name='status', field=models.CharField(choices=CHOICES, max_length=20)
        ),
        ChangeCheckQuietly(
            model_name='item',
            name='item_status_is_known',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', STATUSES)), name='item_status_is_known'),
        ),
        ChangeCheckQuietly(
            model_name='queuetally',
            name='tally_status_is_known',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', STATUSES)), name='tally_status_is_known'),
        ),
        ChangeCheckQuietly(
            model_name='appeal',
            name='appeal_state_is_known',
            constraint=models.CheckConstraint(
                condition=models.Q(('state__in', ['open', 'upheld', 'overturned', 'withdrawn'])),
                name='appeal_state_is_known',
            ),
        ),
        AddIndexQuietly(
            model_name='delivery',
            index=models.Index(
                fields=['webhook', 'item', 'id'],
                condition=models.Q(('item__isnull', False), ('state', 'waiting')),
                name='delivery_waits_for_earlier',
            ),
        ),
    ]
