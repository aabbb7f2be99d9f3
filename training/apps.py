from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Machines' side: snapshots, runs, evaluations, promotions."""

    name = "training"
    default_auto_field = "django.db.models.BigAutoField"
