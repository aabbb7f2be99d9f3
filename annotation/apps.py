from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    """People's side: items, predictions, queues, reviews, gold, export."""

    name = "annotation"
    default_auto_field = "django.db.models.BigAutoField"
