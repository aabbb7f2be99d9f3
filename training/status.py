"""The status words of training's rows."""

from django.db.models import TextChoices


class RunStatus(TextChoices):
    """Of runs and evaluations. Writer: training.services.execution (cancel of a queued one: services.runs)."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINISHED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class Split(TextChoices):
    TRAIN = "train", "Train"
    HOLDOUT = "holdout", "Holdout"


class PromotionKind(TextChoices):
    PROMOTE = "promote", "Promotion"
    ROLLBACK = "rollback", "Rollback"
