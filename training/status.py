"""The status words of training's rows."""

from django.db.models import TextChoices


class RunStatus(TextChoices):
    """Of runs, evaluations and pipelines. Writer: training.services.execution and services.finishing; of a queued run that is cancelled
    services.runs, of those that wait for one that ended badly and of pipelines services.following."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINISHED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


class RunKind(TextChoices):
    """What a run does; its job is the module training.jobs.<kind>. All but mining make a version."""

    SFT = "sft", "Fine-tuning"
    MINE = "mine", "Mining"
    GRPO = "grpo", "GRPO"
    DPO = "dpo", "DPO"


class Trigger(TextChoices):
    """What starts a schedule's pipeline."""

    CRON = "cron", "At a time"
    HARD_SAMPLES = "hard_samples", "After new hard samples"
    AGREEMENT = "agreement", "When agreement with gold drops"


class FiringOutcome(TextChoices):
    """What came of a schedule's condition being met. Writer: training.services.schedule."""

    STARTED = "started", "Started a pipeline"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Could not start"


class SnapshotOrigin(TextChoices):
    """Where a snapshot's rows are from. A benchmark is only measured on."""

    REVIEWS = "reviews", "Reviews"
    CORPUS = "corpus", "Imported corpus"
    BENCHMARK = "benchmark", "Benchmark"


class Split(TextChoices):
    TRAIN = "train", "Train"
    HOLDOUT = "holdout", "Holdout"


class PromotionKind(TextChoices):
    PROMOTE = "promote", "Promotion"
    ROLLBACK = "rollback", "Rollback"
