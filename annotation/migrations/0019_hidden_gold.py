"""The model of hidden gold by its name. Only the state changes: tables and columns keep theirs, and no SQL is run."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('annotation', '0018_external_id_begins')]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterModelTable(name='knownitem', table='annotation_knownitem'),
                migrations.RenameModel(old_name='KnownItem', new_name='HiddenGold'),
                migrations.RenameField(model_name='assignment', old_name='known', new_name='hidden_gold'),
                migrations.RenameField(model_name='review', old_name='known', new_name='hidden_gold'),
                migrations.AlterField(
                    model_name='hiddengold',
                    name='item',
                    field=models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name='hidden_gold', to='annotation.item'
                    ),
                ),
                migrations.AlterField(
                    model_name='assignment',
                    name='hidden_gold',
                    field=models.ForeignKey(
                        blank=True,
                        db_column='known_id',
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='assignments',
                        to='annotation.hiddengold',
                    ),
                ),
                migrations.AlterField(
                    model_name='review',
                    name='hidden_gold',
                    field=models.ForeignKey(
                        blank=True,
                        db_column='known_id',
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name='reviews',
                        to='annotation.hiddengold',
                    ),
                ),
            ]
        )
    ]
