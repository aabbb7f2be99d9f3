"""What the pictures of insights and the list of closed appeals are read by."""

from django.db import migrations, models

from annotation.database.migration_operations import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('annotation', '0016_review_days_and_ages'),
    ]

    operations = [
        AddIndexQuietly(model_name='exposure', index=models.Index(fields=['day'], name='exposure_by_day')),
        AddIndexQuietly(model_name='appeal', index=models.Index(fields=['-closed_at'], condition=models.Q(('state', 'open'), _negated=True), name='appeal_closed')),
        AddIndexQuietly(model_name='event', index=models.Index(fields=['actor', '-id'], condition=models.Q(('kind', 'flagged_for_later')), name='event_flag_of_person')),
    ]
