"""Recipe + overrides + places → a job's config."""

from collections.abc import Mapping
from typing import Any

from training.contract import SftConfig
from training.recipes.checks import Config, check_together, checked, config_of, places_of
from training.recipes.presets import RECIPES
from training.recipes.values import Recipe, RecipeUnknown, SettingUnknown


def recipe_named(name: str) -> Recipe:
    """Look up a preset by name. Raises RecipeUnknown."""
    try:
        return RECIPES[name]
    except KeyError:
        raise RecipeUnknown(f"{name!r} is not one of {', '.join(RECIPES)}.") from None


def recipes_with(kind: str) -> tuple[Recipe, ...]:
    """The presets that include this stage."""
    return tuple(recipe for recipe in RECIPES.values() if kind in recipe.stages)


def config_for(recipe: Recipe | str, kind: str, *, places: Mapping[str, str], overrides: Mapping[str, Any]) -> Config:
    """Build a job's config from the class's defaults, the recipe's stage and the overrides, in this order.

    `places` are the files that the run supplies (`places_of(kind)`). Raises RecipeUnknown or SettingUnknown.
    """
    found = recipe_named(recipe) if isinstance(recipe, str) else recipe
    for name in places:
        if name not in places_of(kind):
            raise SettingUnknown(f"{name} is not a place of {kind} runs. Known: {', '.join(places_of(kind))}.")
    values: dict[str, Any] = {**places, **checked(found.values(kind), kind), **checked(overrides, kind)}
    config = config_of(kind)(**values)
    check_together(config)
    return config


def sft_config(
    recipe: Recipe, *, base_model: str, dataset: str, media_root: str, overrides: Mapping[str, Any]
) -> SftConfig:
    """`config_for` for supervised fine-tuning."""
    places = {"base_model": base_model, "dataset": dataset, "media_root": media_root}
    config = config_for(recipe, "sft", places=places, overrides=overrides)
    assert isinstance(config, SftConfig)
    return config
