"""Fire schedules: at their time (from beat), or when a periodic check finds their condition met."""

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from annotation.errors import ServiceError
from training.errors import ScheduleBusy
from training.models import Firing, Pipeline, RetrainSchedule
from training.recipes import RecipeUnknown, SettingUnknown
from training.recipes.launch import LaunchNotUsable
from training.runs.retrain import retrain_in_stages
from training.schedules.selectors import gold_to_train, open_pipeline, rests_until, standing
from training.status import FiringOutcome, Trigger

# beat may deliver a message twice, and two workers may check at once.
TWICE = timedelta(seconds=50)
# Delay before retrying a schedule that could not start a pipeline.
PATIENCE = timedelta(hours=1)

log = logging.getLogger(__name__)


def check_schedules() -> list[Pipeline]:
    """Start the condition-based schedules that are due and return their pipelines. The caller rings the doorbell."""
    started = []
    for schedule in RetrainSchedule.objects.filter(enabled=True).exclude(trigger=Trigger.CRON).order_by("id"):
        found = standing(schedule)
        if found.met and not open_pipeline(schedule) and not resting(schedule):
            firing = _fire(schedule, found.words, pause=PATIENCE)
            if firing is not None and firing.pipeline is not None:
                started.append(firing.pipeline)
    return started


def fire_by_time(*, schedule_id: int) -> Firing | None:
    """Fire a cron schedule. None if it is gone, disabled, or has already fired this minute."""
    schedule = RetrainSchedule.objects.filter(pk=schedule_id, enabled=True, trigger=Trigger.CRON).first()
    return _fire(schedule, f"It is time: {schedule.cron} ({schedule.time_zone})", pause=TWICE) if schedule else None


def fire_now(*, schedule: RetrainSchedule, asked_by: str) -> Firing | None:
    """Start a schedule by hand, regardless of its condition or whether it is enabled.

    It never starts while its own pipeline is open.
    """
    return _fire(schedule, f"{asked_by} asked for it", pause=TWICE, by_hand=True)


def resting(schedule: RetrainSchedule) -> bool:
    until = rests_until(schedule)
    return until is not None and until > timezone.now()


def _fire(schedule: RetrainSchedule, why: str, *, pause: timedelta, by_hand: bool = False) -> Firing | None:
    """Claim the schedule, start its pipeline and record the result. None if another worker has just tried."""
    now = timezone.now()
    free = Q(attempted_at__isnull=True) | Q(attempted_at__lte=now - pause)
    if RetrainSchedule.objects.filter(free, pk=schedule.pk).update(attempted_at=now) != 1:
        return None
    refusal = _not_now(schedule, by_hand=by_hand)
    if refusal:
        return _note(schedule, why, FiringOutcome.SKIPPED, refusal)
    try:
        pipeline = retrain_in_stages(
            requested_by=schedule.created_by,
            recipe=schedule.recipe,
            overrides=schedule.overrides,
            launch=schedule.launch,
            schedule=schedule,
        )
    except ScheduleBusy as error:
        return _note(schedule, why, FiringOutcome.SKIPPED, str(error))
    except (ServiceError, RecipeUnknown, SettingUnknown, LaunchNotUsable) as error:
        log.warning("Schedule %s could not start: %s", schedule, error)
        return _note(schedule, why, FiringOutcome.FAILED, str(error))
    return Firing.objects.create(schedule=schedule, why=why, outcome=FiringOutcome.STARTED, pipeline=pipeline)


def _not_now(schedule: RetrainSchedule, *, by_hand: bool) -> str:
    """Why nothing is started although the condition is met; "" if nothing prevents it."""
    present = open_pipeline(schedule)
    if present is not None:
        return f"{present} of this schedule is still under way."
    if not by_hand and resting(schedule):
        return f"Less than {schedule.min_hours} hours have passed since it last started a pipeline."
    if not gold_to_train().exists():
        return "No gold has settled since the last training."
    return ""


def _note(schedule: RetrainSchedule, why: str, outcome: FiringOutcome, note: str) -> Firing:
    return Firing.objects.create(schedule=schedule, why=why, outcome=outcome, note=note)
