"""The presets side by side, for comparison."""

from dataclasses import dataclass

from training.recipes.configs import recipes_with
from training.recipes.values import Setting


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting across recipes, in the order of `recipes_with(kind)`; None for the job's default."""

    name: str
    by_recipe: tuple[Setting | None, ...]


def settings_side_by_side(kind: str = "sft") -> tuple[SettingRow, ...]:
    recipes = recipes_with(kind)
    names = dict.fromkeys(name for recipe in recipes for name in recipe.settings(kind))
    return tuple(SettingRow(name, tuple(recipe.settings(kind).get(name) for recipe in recipes)) for name in names)
