"""The status words of training's rows."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class RunStatus(TextChoices):
    """Of runs, evaluations and pipelines. Writer: training.runs.execute and runs.finish; of a queued run that is
    cancelled runs.request, of those that wait for one that ended badly and of pipelines runs.followers."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


FINISHED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


class RunKind(TextChoices):
    """What a run does; its job is the module training.jobs.<kind>. All but mining make a version."""

    SFT = "sft", _("Fine-tuning")
    MINE = "mine", _("Mining")
    GRPO = "grpo", _("GRPO")
    DPO = "dpo", _("DPO")


class Trigger(TextChoices):
    """What starts a schedule's pipeline."""

    CRON = "cron", _("At a time")
    HARD_SAMPLES = "hard_samples", _("After new hard samples")
    AGREEMENT = "agreement", _("When agreement with gold drops")


class FiringOutcome(TextChoices):
    """What came of a schedule's condition being met. Writer: training.schedules.schedules."""

    STARTED = "started", _("Started a pipeline")
    SKIPPED = "skipped", _("Skipped")
    FAILED = "failed", _("Could not start")


class SnapshotOrigin(TextChoices):
    """Where a snapshot's rows are from. A benchmark is only measured on."""

    REVIEWS = "reviews", _("Reviews")
    CORPUS = "corpus", _("Imported corpus")
    BENCHMARK = "benchmark", _("Benchmark")


class Split(TextChoices):
    TRAIN = "train", _("Train")
    HOLDOUT = "holdout", _("Holdout")


class PromotionKind(TextChoices):
    PROMOTE = "promote", _("Promotion")
    ROLLBACK = "rollback", _("Rollback")
