"""Convert a recipe to form fields and back.

Every setting of every stage has a field with the preset's value, unit and source, including settings that the preset
leaves at the job's default.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, replace
from typing import Any

from django.utils.translation import gettext_noop

from training.recipes import CHOICES, Recipe, Setting, SettingUnknown, Value, checked, config_for, fields_of, places_of
from training.recipes.units import ABOUT, STAGES, unit

JOB_DEFAULT = gettext_noop("the job's default")
HERE = gettext_noop("set here")
YES, NO = "yes", "no"

Overrides = dict[str, dict[str, Value]]
Errors = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class FieldShown:
    """One setting. `text` is the field's content and `preset` the preset's value, both as written in the form."""

    kind: str
    name: str
    text: str
    preset: str
    source: str
    unit: str
    input: str  # number, text or choice
    choices: Sequence[str] = ()
    error: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.name}"

    @property
    def changed(self) -> bool:
        return self.text != self.preset


@dataclass(frozen=True, slots=True)
class StageShown:
    kind: str
    title: str
    about: str
    fields: tuple[FieldShown, ...]
    error: str = ""  # about the stage as a whole

    @property
    def changed(self) -> int:
        return sum(shown.changed for shown in self.fields)

    @property
    def errors(self) -> int:
        return sum(bool(shown.error) for shown in self.fields) + bool(self.error)


@dataclass(frozen=True, slots=True)
class Edited:
    """The result of reading a form: the settings that differ from the preset, and errors by (stage, setting)."""

    overrides: Overrides
    errors: Errors = field(default_factory=dict)


def shown(recipe: Recipe, kinds: Sequence[str], texts: Mapping[str, str], errors: Errors) -> list[StageShown]:
    """The form's stages. `texts` are the submitted texts by `kind-name`; other fields show the preset's value."""
    return [
        StageShown(
            kind,
            STAGES[kind],
            ABOUT[kind],
            tuple(_shown(recipe, kind, name, texts, errors) for name in fields_of(kind)),
            errors.get((kind, ""), ""),
        )
        for kind in kinds
    ]


def read(recipe: Recipe, kinds: Sequence[str], texts: Mapping[str, str]) -> Edited:
    """Convert the form's texts to overrides of the recipe, with an error for each invalid field."""
    overrides: Overrides = {kind: {} for kind in kinds}
    errors: Errors = {}
    for kind in kinds:
        for name in fields_of(kind):
            text = texts.get(f"{kind}-{name}")
            if text is None or text == _written(_preset(recipe, kind, name).value):
                continue
            try:
                value = checked({name: _value(kind, name, text)}, kind)[name]
            except SettingUnknown as error:
                errors[kind, name] = str(error)
                continue
            if value != _preset(recipe, kind, name).value:
                overrides[kind][name] = value
    return Edited(overrides, errors or together(recipe, overrides))


def together(recipe: Recipe, overrides: Overrides) -> Errors:
    """Check combinations of individually valid values. Returns errors by the setting to change."""
    errors: Errors = {}
    for kind, changed in overrides.items():
        whole = with_settings(recipe, {kind: changed})
        try:
            config_for(whole, kind, places=_places(kind), overrides={})
        except SettingUnknown as error:
            errors[kind, _named(kind, str(error))] = str(error)
    return errors


def with_settings(recipe: Recipe, overrides: Mapping[str, Mapping[str, Value]]) -> Recipe:
    """Return the recipe with the overrides applied; stages that it lacks are added."""
    stages = {kind: dict(settings) for kind, settings in recipe.stages.items()}
    for kind, changed in overrides.items():
        stages[kind] = stages.get(kind, {}) | {name: Setting(value, HERE) for name, value in changed.items()}
    return replace(recipe, stages=stages)


def texts_of(recipe: Recipe) -> dict[str, str]:
    """A recipe's values as written in the form, by `kind-name`."""
    return {
        f"{kind}-{name}": _written(setting.value)
        for kind, settings in recipe.stages.items()
        for name, setting in settings.items()
    }


def _shown(recipe: Recipe, kind: str, name: str, texts: Mapping[str, str], errors: Errors) -> FieldShown:
    preset = _preset(recipe, kind, name)
    written = _written(preset.value)
    choices: Sequence[str] = (YES, NO) if isinstance(preset.value, bool) else CHOICES.get(name, ())
    kind_of_input = "choice" if choices else "text" if isinstance(preset.value, str) else "number"
    return FieldShown(
        kind,
        name,
        texts.get(f"{kind}-{name}", written),
        written,
        preset.source,
        unit(kind, name),
        kind_of_input,
        choices,
        errors.get((kind, name), ""),
    )


def _preset(recipe: Recipe, kind: str, name: str) -> Setting:
    """The recipe's setting, or the job's default."""
    known = recipe.stages.get(kind, {}).get(name)
    if known is not None:
        return known
    default = fields_of(kind)[name].default
    # only places have none
    assert default is not MISSING
    return Setting(default, JOB_DEFAULT)


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    return str(value)


def _value(kind: str, name: str, text: str) -> Any:
    """Convert the text to the field's type.

    Invalid text is returned unchanged, so that `checked` rejects it by name.
    """
    wanted, text = fields_of(kind)[name].type, text.strip()
    if wanted is bool:
        return {YES: True, NO: False}.get(text, text)
    if wanted is str:
        return text
    try:
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError:
        return text


def _named(kind: str, message: str) -> str:
    """The setting that a message starts with; "" if it is about the stage as a whole."""
    word = re.match(r"\w+", message)
    return word[0] if word and word[0] in fields_of(kind) else ""


def _places(kind: str) -> dict[str, str]:
    """Placeholders for the files that only a run has."""
    return dict.fromkeys(places_of(kind), "…")
