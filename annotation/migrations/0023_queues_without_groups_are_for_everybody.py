"""Until now a queue without groups was for everybody."""

from typing import Any

from django.db import migrations


def without_groups(apps: Any, schema_editor: Any) -> None:
    apps.get_model('annotation', 'ReviewQueue').objects.filter(groups__isnull=True).update(everybody=True)


class Migration(migrations.Migration):
    dependencies = [('annotation', '0022_queue_for_everybody')]
    operations = [migrations.RunPython(without_groups, migrations.RunPython.noop)]
