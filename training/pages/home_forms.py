"""Forms of the training pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from training.recipes import DEFAULT, recipes_with
from training.snapshots.create import SnapshotFilters


class RetrainForm(forms.Form):
    """Recipe, choice of gold, and the settings changed most often; empty fields keep the recipe's values.

    `key` is new for each page, so that a form sent twice starts one thing.
    """

    recipe = forms.ChoiceField(
        choices=[(recipe.name, recipe.title) for recipe in recipes_with("sft")], initial=DEFAULT, required=False
    )
    in_stages = forms.BooleanField(required=False)
    hard_only = forms.BooleanField(required=False)
    key = forms.CharField(required=False, max_length=64)
    name = forms.CharField(required=False, max_length=100)
    epochs = forms.FloatField(required=False, min_value=0.01, max_value=1_000)
    learning_rate = forms.FloatField(required=False, min_value=1e-9, max_value=1)
    lora_rank = forms.IntegerField(required=False, min_value=0, max_value=1_024)

    def recipe_name(self) -> str:
        return str(self.cleaned_data["recipe"] or DEFAULT)

    def filters(self) -> SnapshotFilters:
        return SnapshotFilters(hard_only=self.cleaned_data["hard_only"])

    def overrides(self) -> dict[str, Any]:
        given = {name: self.cleaned_data[name] for name in ("epochs", "learning_rate", "lora_rank")}
        return {name: value for name, value in given.items() if value is not None}


class CloneForm(forms.Form):
    """The settings that a copy can change."""

    epochs = forms.FloatField(required=False, min_value=0.01, max_value=1_000)
    learning_rate = forms.FloatField(required=False, min_value=1e-9, max_value=1)

    def overrides(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if value is not None}


class RolloutsForm(forms.Form):
    """Which completions of a run to show."""

    step = forms.IntegerField(required=False, min_value=0)
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=2_000, error_messages={"required": _("Say in a few words why: the reason stays in the history.")}
    )


class RollbackForm(ReasonForm):
    """`to`: the version offered on the page."""

    to = forms.IntegerField(required=False)


def first_error(form: forms.Form) -> str:
    """One sentence for a message, naming the field."""
    field, errors = next(iter(form.errors.items()))
    return f"{form.fields[field].label or field.replace('_', ' ').capitalize()}: {errors[0]}"
