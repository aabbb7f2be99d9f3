"""Recipes written as TOML and read back."""

import pytest

from tests.training.recipes.test_recipes import made
from training.contract import MineConfig
from training.recipes import RECIPES, Recipe, RecipeUnknown, SettingUnknown, from_toml, to_toml


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_recipe_written_as_toml_reads_back_with_its_sources(recipe: Recipe) -> None:
    read = from_toml(to_toml(recipe))
    assert (read.name, read.title, read.summary, read.preset) == (
        recipe.name,
        recipe.title,
        recipe.summary,
        recipe.name,
    )
    assert read.stages == recipe.stages
    assert read.sharding == recipe.sharding


def test_overrides_are_written_and_say_where_they_are_from() -> None:
    text = to_toml(RECIPES["omni-v2"], {"grpo": {"max_new_tokens": 8192, "server": 'gpu/"#'}})
    assert "max_new_tokens = 8192  # set in this recipe" in text
    assert "group_size = 8  # GuardReasoner-Omni, 181k rows" in text
    read = from_toml(text)
    assert made(read, "grpo").max_new_tokens == 8192
    assert made(read, "grpo").server == 'gpu/"#'
    assert read.settings("grpo")["max_new_tokens"].source == "set in this recipe"
    assert read.settings("grpo")["group_size"] == RECIPES["omni-v2"].settings("grpo")["group_size"]
    assert from_toml(to_toml(read)) == read


def test_toml_starts_from_a_preset_or_from_the_jobs_defaults() -> None:
    read = from_toml('preset = "omni-v2"\nname = "long"\n[grpo]\nmax_new_tokens = 8192\n[sharding]\ngrpo = "fsdp"\n')
    assert (read.name, read.preset, read.title) == ("long", "omni-v2", "GuardReasoner-Omni v2")
    assert read.stages["sft"] == RECIPES["omni-v2"].stages["sft"]
    assert (read.sharding["grpo"].value, read.sharding["sft"].value) == ("fsdp", "zero2")
    plain = from_toml("[mine]\nrollouts = 6\n")
    assert (plain.name, list(plain.stages), made(plain, "mine").keep) == (
        "custom",
        ["mine"],
        MineConfig("", "", "").keep,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[grpo]\nrollouts = 4", r"Line 2, \[grpo\]: rollouts is not a setting of grpo runs"),
        ('[mine]\n\n  keep = "none"', r"Line 3, \[mine\]: keep='none' is not one of"),
        ("[sft]\nepochs = 1\n[grop]\nepochs = 1", "Line 3: grop is not part of a recipe. Known: name"),
        ("grpo = 3", "grpo is a section"),
        ("name = 3", "Line 1: name is not a text"),
        ("[sft\n", "This is not valid TOML: .*line 1"),
        ('[sharding]\nsft = "zero9"', r"Line 2, \[sharding\]: sft='zero9' is not one of none, ddp"),
        ('[sharding]\nppo = "ddp"', r"Line 2, \[sharding\]: ppo is not a stage"),
    ],
)
def test_what_is_wrong_with_a_toml_is_named_with_line_and_field(text: str, said: str) -> None:
    with pytest.raises(SettingUnknown, match=said):
        from_toml(text)
    with pytest.raises(RecipeUnknown, match="'omni' is not one of"):
        from_toml('preset = "omni"')
