from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    """The review side of the product: items, predictions, queues, reviews, gold, export."""

    name = "annotation"
    default_auto_field = "django.db.models.BigAutoField"
