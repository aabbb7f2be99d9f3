"""The values of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = int | float | bool | str
MOST = 2**63 - 1  # of a number, as databases and JSON readers hold it


class RecipeUnknown(ValueError):
    """There is no recipe of that name, or the recipe has no such stage. Choose one of the listed ones."""


class SettingUnknown(ValueError):
    """A setting's name is unknown to its stage, or its value is invalid; the message names it and the fix."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its source: a paper, released code, or ours."""

    value: Value
    source: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """A preset: its purpose, and the settings of each stage (sft, mine, grpo, dpo) that differ from the job's defaults.

    `sharding` names the launch strategy (training.recipes.launch) that the authors used for a stage.
    """

    name: str
    title: str
    summary: str
    stages: Mapping[str, Mapping[str, Setting]]
    sharding: Mapping[str, Setting] = field(default_factory=dict)
    preset: str = ""  # the preset that it is based on

    def settings(self, kind: str) -> Mapping[str, Setting]:
        """The settings of a stage. Raises RecipeUnknown if the recipe lacks it."""
        try:
            return self.stages[kind]
        except KeyError:
            raise RecipeUnknown(f"Recipe {self.name} has no stage {kind!r}; it has {', '.join(self.stages)}.") from None

    def values(self, kind: str) -> dict[str, Value]:
        return {name: setting.value for name, setting in self.settings(kind).items()}


Stage = dict[str, Setting]


def settings_from(source: str, **values: Value) -> Stage:
    return {name: Setting(value, source) for name, value in values.items()}
