"""Create, change and remove schedules.

A cron schedule has a row of django-celery-beat, which runs training.tasks.fire_schedule.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from annotation.models import User
from training.errors import ScheduleNameTaken, ScheduleNotValid
from training.models import RetrainSchedule
from training.recipes import RECIPES, SettingUnknown, checked
from training.recipes.launch import LaunchNotUsable, launch_from
from training.runs.pipelines import stages_of
from training.status import Trigger

FIRE = "training.tasks.fire_schedule"
CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


@dataclass(frozen=True, slots=True)
class ScheduleInput:
    """A schedule as entered; fields that belong to other triggers are stored and have no effect."""

    name: str
    trigger: str
    recipe: str
    enabled: bool = True
    cron: str = ""
    time_zone: str = "UTC"
    hard_samples: int = 50
    agreement_below: float = 0.9
    agreement_window: int = 200
    min_hours: int = 12
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by kind of run
    launch: Mapping[str, Any] = field(default_factory=dict)


MOST = {"hard_samples": 1_000_000, "agreement_window": 1_000_000, "min_hours": 24 * 366}


def save_schedule(*, given: ScheduleInput, person: User, schedule: RetrainSchedule | None = None) -> RetrainSchedule:
    """Create a schedule, or change the given one. Raises ScheduleNotValid or ScheduleNameTaken."""
    _check(given)
    namesake = RetrainSchedule.objects.filter(name=given.name.strip()).first()
    if namesake is not None and namesake != schedule:
        raise ScheduleNameTaken
    saved = schedule or RetrainSchedule(created_by=person)
    for name, value in asdict(given).items():
        setattr(saved, name, value.strip() if isinstance(value, str) else value)
    with transaction.atomic():
        saved.save()
        _sync_beat(saved)
    return saved


def switch_schedule(*, schedule: RetrainSchedule, enabled: bool) -> None:
    with transaction.atomic():
        schedule.enabled = enabled
        schedule.save(update_fields=["enabled"])
        _sync_beat(schedule)


def delete_schedule(*, schedule: RetrainSchedule) -> None:
    """Delete the schedule; its pipelines are kept."""
    with transaction.atomic():
        beat = schedule.beat
        schedule.delete()
        _forget(beat)


def forget_old_bells() -> None:
    """Delete beat's rows for tasks that an upgrade has removed from CELERY_BEAT_SCHEDULE."""
    ours = PeriodicTask.objects.filter(task__regex=r"^(annotation|training)\.tasks\.").exclude(task=FIRE)
    ours.exclude(name__in=settings.CELERY_BEAT_SCHEDULE).delete()


def _sync_beat(schedule: RetrainSchedule) -> None:
    """Sync django-celery-beat: one row for a cron schedule, none for others. beat notices within seconds."""
    if schedule.trigger != Trigger.CRON:
        beat, schedule.beat = schedule.beat, None
        schedule.save(update_fields=["beat"])
        _forget(beat)
        return
    times = dict(zip(CRON_FIELDS, schedule.cron.split(), strict=True))
    beat = schedule.beat or PeriodicTask(name=f"retrain-{schedule.pk}", task=FIRE, args=json.dumps([schedule.pk]))
    crontab = beat.crontab or CrontabSchedule()
    for name, value in {**times, "timezone": schedule.time_zone}.items():
        setattr(crontab, name, value)
    crontab.save()
    beat.crontab, beat.enabled, beat.description = crontab, schedule.enabled, f"Retraining: {schedule.name}"
    # a changed time counts from now on
    beat.last_run_at = None
    beat.save()
    schedule.beat = beat
    schedule.save(update_fields=["beat"])


def _forget(beat: PeriodicTask | None) -> None:
    if beat is not None:
        crontab = beat.crontab
        beat.delete()
        if crontab is not None:
            crontab.delete()


def _check(given: ScheduleInput) -> None:
    if not given.name.strip():
        raise ScheduleNotValid("name", _("enter a name."))
    if given.trigger not in Trigger.values:
        raise ScheduleNotValid(
            "trigger",
            _("%(given)s is not one of %(known)s.")
            % {"given": repr(given.trigger), "known": ", ".join(Trigger.values)},
        )
    if given.recipe not in RECIPES:
        raise ScheduleNotValid(
            "recipe",
            _("%(given)s is not one of %(known)s.") % {"given": repr(given.recipe), "known": ", ".join(RECIPES)},
        )
    if given.trigger == Trigger.CRON:
        _check_time(given.cron, given.time_zone)
    if given.hard_samples < 1:
        raise ScheduleNotValid("hard_samples", _("at least 1."))
    if not 0 < given.agreement_below <= 1:
        raise ScheduleNotValid("agreement_below", _("a share above 0 and at most 1."))
    if given.agreement_window < 1:
        raise ScheduleNotValid("agreement_window", _("at least 1."))
    if given.min_hours < 0:
        raise ScheduleNotValid("min_hours", _("at least 0."))
    for name, most in MOST.items():
        if getattr(given, name) > most:
            raise ScheduleNotValid(name, _("at most %(most)s.") % {"most": f"{most:,}"})
    _check_settings(given)


def _check_time(cron: str, time_zone: str) -> None:
    parts = cron.split()
    if len(parts) != len(CRON_FIELDS):
        raise ScheduleNotValid(
            "cron", _("five parts: minute hour day-of-month month day-of-week, for example 0 3 * * *.")
        )
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleNotValid(
            "time_zone", _("%(given)s is not a time zone; use a name like Europe/Berlin.") % {"given": repr(time_zone)}
        ) from None
    try:
        CrontabSchedule(**dict(zip(CRON_FIELDS, parts, strict=True)), timezone=time_zone).clean_fields()
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise ScheduleNotValid("cron", f"{name.replace('_', ' ')}: {messages[0]}") from None


def _check_settings(given: ScheduleInput) -> None:
    stages = stages_of(RECIPES[given.recipe])
    try:
        for kind, changed in given.overrides.items():
            if kind not in stages:
                raise ScheduleNotValid(
                    "overrides",
                    _("%(kind)s is not a stage of %(recipe)s; it has %(stages)s.")
                    % {"kind": repr(kind), "recipe": given.recipe, "stages": ", ".join(stages)},
                )
            checked(changed, kind)
        launch_from(given.launch)
    except SettingUnknown as error:
        raise ScheduleNotValid("overrides", str(error)) from error
    except LaunchNotUsable as error:
        raise ScheduleNotValid("launch", str(error)) from error
