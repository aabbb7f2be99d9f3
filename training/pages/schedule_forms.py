"""The form of the schedule page."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from training.models import RetrainSchedule
from training.recipes import DEFAULT, RECIPES, SettingUnknown
from training.recipes.launch import STRATEGIES
from training.recipes.toml import read_toml
from training.schedules.schedules import ScheduleInput
from training.status import Trigger


class ScheduleForm(forms.Form):
    """A schedule; fields of other triggers are stored without effect.

    `settings` are the differences from the recipe, as TOML.
    """

    name = forms.CharField(label=_("Name"), max_length=100)
    enabled = forms.BooleanField(label=_("Enabled"), required=False, initial=True)
    trigger = forms.ChoiceField(label=_("Trigger"), choices=Trigger.choices, initial=Trigger.CRON)
    cron = forms.CharField(
        required=False,
        max_length=100,
        initial="0 3 * * *",
        label=_("Time"),
        help_text=_("Minute, hour, day of month, month, day of week: 0 3 * * * is every night at three."),
    )
    time_zone = forms.CharField(
        label=_("Time zone"), max_length=64, initial="UTC", help_text=_("Such as Europe/Berlin.")
    )
    hard_samples = forms.IntegerField(
        min_value=1,
        max_value=1_000_000,
        initial=50,
        label=_("New hard samples"),
        help_text=_("Start when this many have settled since the last training."),
    )
    agreement_below = forms.FloatField(
        min_value=0.0001,
        max_value=1,
        initial=0.9,
        label=_("Agreement below"),
        help_text=_("Share of gold that production agrees with, from 0 to 1."),
    )
    agreement_window = forms.IntegerField(
        min_value=1, max_value=1_000_000, initial=200, label=_("Over the last gold labels")
    )
    min_hours = forms.IntegerField(
        min_value=0,
        max_value=10_000,
        initial=12,
        label=_("Hours of rest"),
        help_text=_("The minimum between two pipelines of this schedule."),
    )
    recipe = forms.ChoiceField(
        label=_("Recipe"), choices=[(recipe.name, recipe.title) for recipe in RECIPES.values()], initial=DEFAULT
    )
    processes = forms.IntegerField(label=_("Processes"), min_value=1, max_value=4_096, initial=1)
    strategy = forms.ChoiceField(label=_("Strategy"), choices=[(name, name) for name in STRATEGIES], initial="none")
    settings = forms.CharField(
        label=_("Settings"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "mono"}),
        help_text=_("What differs from the recipe, as TOML: [grpo], and below it learning_rate = 1e-6."),
    )

    def clean_settings(self) -> dict[str, dict[str, Any]]:
        try:
            table = read_toml(self.cleaned_data["settings"].replace("\r\n", "\n"))
        except SettingUnknown as error:
            raise forms.ValidationError(str(error)) from error
        for kind, section in table.items():
            if not isinstance(section, dict):
                raise forms.ValidationError(
                    _("%(kind)s is outside a section: write [sft], [mine], [grpo] or [dpo] above it.") % {"kind": kind}
                )
        return table

    def given(self) -> ScheduleInput:
        chosen = dict(self.cleaned_data)
        processes, strategy = chosen.pop("processes"), chosen.pop("strategy")
        launch = {} if (processes, strategy) == (1, "none") else {"processes": processes, "strategy": strategy}
        return ScheduleInput(overrides=chosen.pop("settings"), launch=launch, **chosen)


def initial_of(schedule: RetrainSchedule) -> dict[str, Any]:
    kept = (
        "name",
        "enabled",
        "trigger",
        "cron",
        "time_zone",
        "hard_samples",
        "agreement_below",
        "agreement_window",
        "min_hours",
        "recipe",
    )
    return {name: getattr(schedule, name) for name in kept} | {"settings": _toml(schedule.overrides), **schedule.launch}


def _toml(overrides: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON's literals are valid TOML for these types."""
    return "\n".join(
        "\n".join([f"[{kind}]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())])
        for kind, settings in overrides.items()
    )
