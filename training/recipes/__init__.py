"""Named training presets, with the source of every value; they can be edited per run or written as TOML."""

from training.recipes.checks import (
    CHOICES,
    CONFIGS,
    PLACES,
    RANGES,
    Config,
    check_together,
    checked,
    config_of,
    fields_of,
    places_of,
)
from training.recipes.configs import config_for, recipe_named, recipes_with, sft_config
from training.recipes.presets import DEFAULT, RECIPES
from training.recipes.side_by_side import SettingRow, settings_side_by_side
from training.recipes.toml import from_toml, to_toml
from training.recipes.values import Recipe, RecipeUnknown, Setting, SettingUnknown, Value

__all__ = [
    "CHOICES",
    "CONFIGS",
    "DEFAULT",
    "PLACES",
    "RANGES",
    "RECIPES",
    "Config",
    "Recipe",
    "RecipeUnknown",
    "Setting",
    "SettingRow",
    "SettingUnknown",
    "Value",
    "check_together",
    "checked",
    "config_for",
    "config_of",
    "fields_of",
    "from_toml",
    "places_of",
    "recipe_named",
    "recipes_with",
    "settings_side_by_side",
    "sft_config",
    "to_toml",
]
