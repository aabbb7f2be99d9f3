from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Training, the machines' side: snapshots, runs, evaluations, promotions."""

    name = "training"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # models can be imported from here on
        from annotation.prometheus import SOURCES
        from training.progress.prometheus import runs

        if runs not in SOURCES:
            SOURCES.append(runs)
