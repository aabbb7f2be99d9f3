from django.apps import AppConfig
from django.db.models.signals import post_migrate

from annotation.database.search_index import ensure_index


class AnnotationConfig(AppConfig):
    """The review side of the product: items, predictions, queues, reviews, gold, export."""

    name = "annotation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(ensure_index, sender=self)
