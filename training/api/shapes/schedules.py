"""Request and response shapes of training's API: schedules."""

from typing import Any

from rest_framework import serializers

from training.api.shapes.runs import LAUNCH, Json
from training.models import Firing, RetrainSchedule
from training.recipes import DEFAULT
from training.schedules.schedules import ScheduleInput as Given
from training.schedules.selectors import firings, standing
from training.status import FiringOutcome, Trigger

FIRINGS_SHOWN = 20


class ScheduleInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    recipe = serializers.CharField(default=DEFAULT)
    enabled = serializers.BooleanField(default=True)
    cron = serializers.CharField(
        default="", allow_blank=True, max_length=100, help_text="minute hour day-of-month month day-of-week"
    )
    time_zone = serializers.CharField(default="UTC", max_length=64)
    hard_samples = serializers.IntegerField(default=50)
    agreement_below = serializers.FloatField(default=0.9, help_text="0 to 1")
    agreement_window = serializers.IntegerField(
        default=200, help_text="number of settled gold labels for the agreement"
    )
    min_hours = serializers.IntegerField(default=12, help_text="minimum between two pipelines")
    settings = serializers.DictField(
        child=serializers.DictField(), default=dict, help_text="differences from the recipe, by stage"
    )
    launch = serializers.DictField(default=dict, help_text=LAUNCH)

    def to_given(self) -> Given:
        given = dict(self.validated_data)
        return Given(overrides=given.pop("settings"), **given)


class FiringShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    why = serializers.CharField()
    outcome = serializers.ChoiceField(choices=FiringOutcome.choices)
    note = serializers.CharField(help_text="why no pipeline was started")
    pipeline = serializers.IntegerField(allow_null=True)


class ScheduleShape(ScheduleInput):
    id = serializers.IntegerField()
    standing = serializers.CharField(help_text="how close it is to starting a pipeline")
    next_at = serializers.DateTimeField(allow_null=True, help_text="for a cron schedule")
    firings = FiringShape(many=True, help_text=f"newest first, at most {FIRINGS_SHOWN}")


class ScheduleList(serializers.Serializer[Any]):
    schedules = ScheduleShape(many=True)


def schedule_json(schedule: RetrainSchedule) -> Json:
    now = standing(schedule)
    return {
        "id": schedule.pk,
        "name": schedule.name,
        "trigger": schedule.trigger,
        "recipe": schedule.recipe,
        "enabled": schedule.enabled,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "hard_samples": schedule.hard_samples,
        "agreement_below": schedule.agreement_below,
        "agreement_window": schedule.agreement_window,
        "min_hours": schedule.min_hours,
        "settings": schedule.overrides,
        "launch": schedule.launch,
        "standing": now.words,
        "next_at": now.next_at,
        "firings": [firing_json(firing) for firing in firings(schedule)[:FIRINGS_SHOWN]],
    }


def firing_json(firing: Firing) -> Json:
    return {
        "at": firing.at,
        "why": firing.why,
        "outcome": firing.outcome,
        "note": firing.note,
        "pipeline": firing.pipeline_id,
    }
