"""Forms of the recipe page: the recipe, as fields or TOML, and what to start."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.predictions.production import production_or_none
from training.models import DatasetSnapshot, TrainingRun
from training.recipes import CONFIGS, RECIPES, Recipe, RecipeUnknown, SettingUnknown, from_toml, to_toml
from training.recipes.form_fields import Errors, StageShown, read, shown, texts_of, with_settings
from training.recipes.launch import STRATEGIES
from training.runs.pipelines import stages_of
from training.status import RunKind, RunStatus, SnapshotOrigin
from training.versions.lists import snapshots, versions

PIPELINE = "pipeline"
FORM, TOML = "form", "toml"
CUSTOM = Recipe("custom", "Custom", "", {})


class StartForm(forms.Form):
    """What to start, from which version, on which data. `key` makes sure that a form sent twice starts one thing."""

    what = forms.ChoiceField(
        label=_("What"), choices=[(PIPELINE, _("All stages, one after the other")), *RunKind.choices]
    )
    snapshot = forms.ModelChoiceField(
        DatasetSnapshot.objects.none(),
        label=_("Snapshot"),
        empty_label=None,
        error_messages={"required": _("Take a snapshot first, on the training page.")},
    )
    base = forms.ModelChoiceField(versions().none(), empty_label=None, label=_("Base version"))
    mined_from = forms.ModelChoiceField(
        TrainingRun.objects.none(),
        required=False,
        label=_("Rows of a mining"),
        empty_label=_("all train rows of the snapshot"),
        help_text=_("Only for GRPO or DPO."),
    )
    processes = forms.IntegerField(label=_("Processes"), min_value=1, max_value=4_096, initial=1)
    strategy = forms.ChoiceField(label=_("Strategy"), choices=[(name, name) for name in STRATEGIES])
    key = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, recipe: Recipe, initial: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(
            data, initial={"what": PIPELINE, "strategy": "none", "base": production_or_none()} | dict(initial or {})
        )
        self.recipe = recipe
        for name, rows in (
            ("snapshot", snapshots().exclude(origin=SnapshotOrigin.BENCHMARK)),
            ("base", versions()),
            ("mined_from", TrainingRun.objects.filter(kind=RunKind.MINE, status=RunStatus.SUCCEEDED).order_by("-id")),
        ):
            choice = self.fields[name]
            assert isinstance(choice, forms.ModelChoiceField)
            choice.queryset = rows
        kinds = [(kind, RunKind(kind).label) for kind in CONFIGS if kind in recipe.stages]
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = (
            [(PIPELINE, " → ".join(str(kind.label) for kind in stages_of(recipe))), *kinds] if len(kinds) > 1 else kinds
        )

    def stages(self) -> tuple[str, ...]:
        chosen = self.cleaned_data["what"]
        return tuple(stages_of(self.recipe)) if chosen == PIPELINE else (chosen,)

    def launch(self) -> dict[str, Any]:
        processes, strategy = self.cleaned_data["processes"], self.cleaned_data["strategy"]
        return {} if (processes, strategy) == (1, "none") else {"processes": processes, "strategy": strategy}


@dataclass(frozen=True, slots=True)
class EditedRecipe:
    """A recipe being edited, with its errors: `problem` concerns the whole, `errors` single fields.

    `preset` is what the fields are compared with, `texts` are their contents, and `text` is the TOML.
    """

    recipe: Recipe
    preset: Recipe
    mode: str = FORM
    text: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    errors: Errors = field(default_factory=dict)
    problem: str = ""

    @property
    def is_wrong(self) -> bool:
        return bool(self.errors or self.problem)

    def stages(self) -> list[StageShown]:
        return shown(self.preset, [kind for kind in CONFIGS if kind in self.recipe.stages], self.texts, self.errors)

    def in_mode(self, mode: str) -> "EditedRecipe":
        """The same recipe in the other form; only if it has no errors."""
        return replace(self, mode=mode, text=to_toml(self.recipe), texts=texts_of(self.recipe))


def as_preset(recipe: Recipe) -> EditedRecipe:
    return EditedRecipe(recipe, recipe, texts=texts_of(recipe))


def as_written(text: str) -> EditedRecipe:
    """Parse a recipe written as TOML. Raises SettingUnknown or RecipeUnknown."""
    recipe = from_toml(text.replace("\r\n", "\n"))
    return EditedRecipe(recipe, RECIPES.get(recipe.preset, CUSTOM), mode=TOML, text=text, texts=texts_of(recipe))


def edited(data: Mapping[str, str]) -> EditedRecipe:
    """Read the submitted recipe, as fields or as TOML."""
    preset = RECIPES.get(data.get("preset", ""), CUSTOM)
    if data.get("mode") == TOML:
        text = data.get("text", "")
        try:
            return as_written(text)
        except (SettingUnknown, RecipeUnknown) as error:
            return EditedRecipe(preset, preset, mode=TOML, text=text, problem=str(error))
    kinds = [kind for kind in CONFIGS if kind in data.get("kinds", "").split()] or list(preset.stages)
    edited = read(preset, kinds, data)
    recipe = replace(
        with_settings(preset, edited.overrides),
        preset="" if preset is CUSTOM else preset.name,
        name=data.get("name") or preset.name,
        title=data.get("title") or preset.title,
        summary=data.get("summary") or preset.summary,
    )
    return EditedRecipe(recipe, preset, texts=data, errors=edited.errors)
