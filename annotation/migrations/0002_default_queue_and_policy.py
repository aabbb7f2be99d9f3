"""The queue that items go to, and version 1 of the policy that they are judged by."""

from django.db import migrations

from guardapp.guard.taxonomy import DEFAULT_CATEGORIES


def create_defaults(apps, schema_editor):
    queue = apps.get_model("annotation", "ReviewQueue")
    queue.objects.get_or_create(slug="default", defaults={"name": "Default"})
    policy, _ = apps.get_model("annotation", "Policy").objects.get_or_create(slug="default", defaults={"name": "Default policy"})
    version, created = apps.get_model("annotation", "PolicyVersion").objects.get_or_create(policy=policy, number=1)
    if created:
        category = apps.get_model("annotation", "PolicyCategory")
        category.objects.bulk_create(
            category(version=version, code=one.code, name=one.name, guidance=one.guidance, position=position)
            for position, one in enumerate(DEFAULT_CATEGORIES)
        )


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_initial")]
    operations = [migrations.RunPython(create_defaults, migrations.RunPython.noop)]
