"""The production version."""

from annotation.models import ModelVersion


def production_version() -> ModelVersion:
    """Return the production version. Raises ModelVersion.DoesNotExist before the first start."""
    return ModelVersion.objects.serving().get()


def production_or_none() -> ModelVersion | None:
    """Return the production version; None before the first start."""
    return ModelVersion.objects.serving().first()
