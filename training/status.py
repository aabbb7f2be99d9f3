"""Status values of training's rows."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class RunStatus(TextChoices):
    """Status of runs, evaluations and pipelines.

    Written by training.runs.execute and runs.finish; for cancelled queued runs by runs.request; for pipelines and for
    runs that wait for one that failed by runs.followers.
    """

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


FINISHED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


class RunKind(TextChoices):
    """What a run does; its job is the module training.jobs.<kind>. Every kind except mining makes a version."""

    SFT = "sft", _("Fine-tuning")
    MINE = "mine", _("Mining")
    GRPO = "grpo", _("GRPO")
    DPO = "dpo", _("DPO")


class Trigger(TextChoices):
    """What triggers a schedule's pipeline."""

    CRON = "cron", _("At a time")
    HARD_SAMPLES = "hard_samples", _("After new hard samples")
    AGREEMENT = "agreement", _("When agreement with gold drops")


class FiringOutcome(TextChoices):
    """The result of a firing. Written by training.schedules.schedules."""

    STARTED = "started", _("Started a pipeline")
    SKIPPED = "skipped", _("Skipped")
    FAILED = "failed", _("Could not start")


class SnapshotOrigin(TextChoices):
    """The origin of a snapshot's rows. A benchmark is only used for evaluation."""

    REVIEWS = "reviews", _("Reviews")
    CORPUS = "corpus", _("Imported corpus")
    BENCHMARK = "benchmark", _("Benchmark")


class Split(TextChoices):
    TRAIN = "train", _("Train")
    HOLDOUT = "holdout", _("Holdout")


class PromotionKind(TextChoices):
    PROMOTE = "promote", _("Promotion")
    ROLLBACK = "rollback", _("Rollback")
