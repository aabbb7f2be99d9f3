"""Conditions of schedules, and how close each is to being met."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from annotation.database import clock
from annotation.database.lists import COUNTED_UP_TO, count_some
from annotation.models import GoldLabel, ModelVersion
from annotation.status import ItemStatus
from training.models import DatasetSnapshot, Firing, Pipeline, RetrainSchedule
from training.status import OPEN, FiringOutcome, RunStatus, Trigger


@dataclass(frozen=True, slots=True)
class Agreement:
    """The serving version's agreement with the newest settled gold; inconclusive with fewer labels than requested."""

    labels: int
    agreed: int

    @property
    def share(self) -> float:
        return self.agreed / self.labels if self.labels else 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How close a schedule is to starting.

    `words` is a description, `met` whether its condition holds now, `next_at` the next time of a cron schedule.
    """

    words: str
    met: bool = False
    next_at: datetime | None = None


def schedules() -> QuerySet[RetrainSchedule]:
    return RetrainSchedule.objects.select_related("created_by", "beat", "beat__crontab").order_by("name")


def firings(schedule: RetrainSchedule) -> QuerySet[Firing]:
    return Firing.objects.filter(schedule=schedule).select_related("pipeline").order_by("-id")


def last_firing(schedule: RetrainSchedule) -> Firing | None:
    return firings(schedule).first()


def open_pipeline(schedule: RetrainSchedule) -> Pipeline | None:
    return Pipeline.objects.filter(schedule=schedule, status__in=OPEN).first()


def rests_until(schedule: RetrainSchedule) -> datetime | None:
    """The end of `min_hours` since it last started a pipeline; None if it never has."""
    started = firings(schedule).filter(outcome=FiringOutcome.STARTED).first()
    return started.at + timedelta(hours=schedule.min_hours) if started else None


def trained_until() -> datetime:
    """The time of the newest snapshot of gold with a run that has not failed or been cancelled."""
    trained = Q(runs__isnull=False) & ~Q(runs__status__in=[RunStatus.FAILED, RunStatus.CANCELLED])
    newest = DatasetSnapshot.objects.filter(trained, rows__isnull=False).order_by("-created_at").first()
    return newest.created_at if newest else datetime.min.replace(tzinfo=UTC)


def gold_to_train() -> QuerySet[GoldLabel]:
    """Standing gold settled since then, without that of withdrawn items."""
    gold = GoldLabel.objects.standing().filter(settled_at__gt=trained_until(), settled_at__lte=clock.now())
    return gold.exclude(item__status=ItemStatus.WITHDRAWN)


def new_hard_samples(*, most: int = COUNTED_UP_TO) -> int:
    """The number of new hard samples, counted up to `most` + 1."""
    return count_some(gold_to_train().filter(hard_sample__isnull=False), most)


def agreement(window: int) -> Agreement:
    """Agreement on the newest `window` gold labels of items that the production version predicted.

    Both labels must equal gold's.
    """
    gold = GoldLabel.objects.standing().filter(
        settled_at__lte=clock.now(), prediction__version__in=ModelVersion.objects.serving()
    )
    rows = gold.order_by("-settled_at", "-id").values_list(
        "prompt_label", "response_label", "prediction__prompt_label", "prediction__response_label"
    )[:window]
    pairs = [(row[:2], row[2:]) for row in rows]
    return Agreement(len(pairs), sum(settled == predicted for settled, predicted in pairs))


def standing(schedule: RetrainSchedule) -> Standing:
    """The current state of the condition, regardless of whether the schedule is enabled, busy or resting."""
    if schedule.trigger == Trigger.HARD_SAMPLES:
        count = new_hard_samples(most=max(COUNTED_UP_TO, schedule.hard_samples))
        words = _("%(n)s of %(needed)s new hard samples") % {"n": count, "needed": schedule.hard_samples}
        return Standing(words, met=count >= schedule.hard_samples)
    if schedule.trigger == Trigger.AGREEMENT:
        return _of_agreement(schedule)
    return Standing(
        _("At %(time)s (%(zone)s)") % {"time": schedule.cron, "zone": schedule.time_zone}, next_at=next_time(schedule)
    )


def _of_agreement(schedule: RetrainSchedule) -> Standing:
    found = agreement(schedule.agreement_window)
    if found.labels < schedule.agreement_window:
        return Standing(
            _("%(n)s of %(needed)s gold labels on the version in production")
            % {"n": found.labels, "needed": schedule.agreement_window}
        )
    words = _(
        "agreement of the version in production with its last %(n)s gold labels is %(share)s, bound %(bound)s"
    ) % {"n": found.labels, "share": f"{found.share:.1%}", "bound": f"{schedule.agreement_below:.1%}"}
    return Standing(words, met=found.share < schedule.agreement_below)


def next_time(schedule: RetrainSchedule) -> datetime | None:
    """The next time of an enabled cron schedule."""
    if schedule.beat is None or schedule.beat.crontab is None or not schedule.enabled:
        return None
    now = clock.now()
    left: timedelta = schedule.beat.crontab.schedule.remaining_estimate(now)
    return now + left
