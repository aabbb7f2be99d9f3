"""Guards that judge by the policy in their prompt, and which policy a prediction was made by."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("annotation", "0007_shadow"),
    ]

    operations = [
        migrations.AddField(
            model_name="modelversion",
            name="takes_policy",
            field=models.BooleanField(default=False, help_text="it was trained to judge by the policy in its prompt"),
        ),
        migrations.AddField(
            model_name="prediction",
            name="policy_version",
            field=models.ForeignKey(blank=True, help_text="whose text was in the prompt; empty: none was", null=True,
                                    on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotation.policyversion"),
        ),
    ]
