"""Which version serves."""

from annotation.models import ModelVersion


def production_version() -> ModelVersion:
    """The version that serves. Raises ModelVersion.DoesNotExist before the first start."""
    return ModelVersion.objects.serving().get()


def production_or_none() -> ModelVersion | None:
    """The version that serves; None before the first start."""
    return ModelVersion.objects.serving().first()
