"""Presets, their sources, what a setting may be, and recipes as TOML."""

from dataclasses import asdict
from typing import Any

import pytest

from training.contract import DpoConfig, GrpoConfig, MineConfig, SftConfig
from training.recipes import (
    CHOICES,
    RANGES,
    RECIPES,
    Recipe,
    RecipeUnknown,
    SettingUnknown,
    checked,
    config_for,
    fields_of,
    places_of,
    recipes_with,
    settings_side_by_side,
)

KINDS = ("sft", "mine", "grpo", "dpo")


def made(recipe: Recipe | str, kind: str, **overrides: Any) -> Any:
    return config_for(recipe, kind, places=dict.fromkeys(places_of(kind), "somewhere"), overrides=overrides)


@pytest.mark.parametrize(
    ("recipe", "kind"), [(recipe.name, kind) for recipe in RECIPES.values() for kind in recipe.stages]
)
def test_every_stage_of_every_preset_makes_a_config_and_names_its_sources(recipe: str, kind: str) -> None:
    config = made(recipe, kind)
    values = asdict(config)
    assert isinstance(config, {"sft": SftConfig, "mine": MineConfig, "grpo": GrpoConfig, "dpo": DpoConfig}[kind])
    for name, setting in RECIPES[recipe].settings(kind).items():
        assert values[name] == setting.value
        assert setting.source


# the tables of the papers and of the released scripts
@pytest.mark.parametrize(
    ("recipe", "kind", "expected"),
    [
        (
            "vl",
            "sft",
            {
                "learning_rate": 5e-5,
                "epochs": 3.0,
                "cutoff_tokens": 2048,
                "lr_scheduler": "cosine",
                "bf16": True,
                "max_grad_norm": 1.0,
            },
        ),
        (
            "omni-v1",
            "sft",
            {
                "learning_rate": 5e-5,
                "epochs": 1.0,
                "cutoff_tokens": 32_768,
                "warmup_ratio": 0.03,
                "freeze_vision": True,
            },
        ),
        (
            "omni-v2",
            "sft",
            {
                "learning_rate": 5e-5,
                "epochs": 3.0,
                "cutoff_tokens": 24_576,
                "warmup_ratio": 0.03,
                "freeze_vision": True,
            },
        ),
        ("vl", "mine", {"rollouts": 4, "keep": "all_wrong", "temperature": 1.0, "top_p": 0.95}),
        ("omni-v1", "mine", {"rollouts": 4, "keep": "any_wrong"}),
        ("omni-v2", "mine", {"rollouts": 8, "keep": "mixed"}),
        ("hs-dpo", "mine", {"rollouts": 4, "keep": "mixed"}),
        (
            "vl",
            "grpo",
            {
                "group_size": 16,
                "learning_rate": 1e-6,
                "weight_decay": 1e-2,
                "prompts_per_batch": 512,
                "update_batch": 256 * 16,
                "reward": "vl",
                "clip_schedule": "product",
                "clip_low": 0.2,
                "concat_share": 0.2,
            },
        ),
        ("vl-eco", "grpo", {"group_size": 16, "reward": "vl-eco", "clip_schedule": "product"}),
        (
            "omni-v1",
            "grpo",
            {
                "group_size": 16,
                "learning_rate": 2e-6,
                "weight_decay": 1e-2,
                "prompts_per_batch": 256,
                "update_batch": 128 * 16,
                "clip_low": 0.2,
                "clip_high": 0.3,
                "loss": "token_mean",
                "max_prompt_tokens": 22_528,
                "max_new_tokens": 2048,
                "save_every": 4,
                "reward": "omni-v1",
            },
        ),
        (
            "omni-v2",
            "grpo",
            {
                "group_size": 8,
                "learning_rate": 2e-6,
                "warmup_ratio": 0.05,
                "prompts_per_batch": 16,
                "update_batch": 128,
                "max_prompt_tokens": 20_480,
                "max_new_tokens": 4096,
                "epochs": 2.0,
                "reward": "omni-v2",
            },
        ),
        (
            "hs-dpo",
            "dpo",
            {
                "beta": 0.01,
                "sft_weight": 2.0,
                "weight_spread": 0.2,
                "learning_rate": 5e-6,
                "epochs": 2.0,
                "lr_scheduler": "cosine",
            },
        ),
    ],
)
def test_presets_hold_the_published_values(recipe: str, kind: str, expected: dict[str, Any]) -> None:
    config = asdict(made(recipe, kind))
    assert {name: config[name] for name in expected} == expected


def test_global_batches_are_the_published_ones() -> None:
    for name in ("vl", "omni-v1", "omni-v2"):
        config = made(name, "sft")
        assert config.batch_size * config.gradient_accumulation == 192
    pairs = made("hs-dpo", "dpo")
    assert pairs.batch_size * pairs.gradient_accumulation == 256
    assert {name: RECIPES[name].sharding["sft"].value for name in ("vl", "omni-v1", "omni-v2")} == {
        "vl": "zero3",
        "omni-v1": "zero2",
        "omni-v2": "zero2",
    }


def test_overrides_win_over_the_recipe_and_the_recipe_over_the_job() -> None:
    assert made("vl", "sft").epochs == 3.0
    assert made("vl", "sft", epochs=1).epochs == 1.0
    assert made("vl", "sft").seed == SftConfig("", "", "").seed


@pytest.mark.parametrize(
    ("kind", "name", "value", "said"),
    [
        ("sft", "epoch", 1, "epoch is not a setting of sft runs"),
        ("grpo", "epochs", 0, "epochs=0 is not above 0"),
        ("sft", "learning_rate", "fast", "learning_rate='fast' is not a number"),
        ("sft", "batch_size", 1.5, "batch_size=1.5 is not a whole number"),
        ("sft", "batch_size", True, "batch_size=True is not a whole number"),
        ("sft", "bf16", 1, "bf16=1 is not a yes or no"),
        ("sft", "learning_rate", float("nan"), "learning_rate=nan"),
        ("sft", "batch_size", float("inf"), "batch_size=inf"),
        ("mine", "keep", "some_wrong", "keep='some_wrong' is not one of all_wrong, any_wrong, mixed"),
        ("mine", "top_p", 0, "top_p=0 is not above 0 and at most 1"),
        ("mine", "top_p", 1.1, "top_p=1.1 is not above 0 and at most 1"),
        ("grpo", "reward", "omni", "reward='omni' is not one of omni-v1"),
        ("grpo", "loss", "mean", "loss='mean'"),
        ("grpo", "clip_schedule", "cosine", "clip_schedule='cosine' is not one of constant, product, linear"),
        ("grpo", "group_size", 1, "group_size=1 is not at least 2"),
        ("grpo", "concat_share", 2, "concat_share=2"),
        ("sft", "max_steps", 0, "max_steps=0 trains nothing"),
        ("sft", "lr_scheduler", "cosin", "lr_scheduler='cosin'"),
        ("sft", "base_model", "/etc", "base_model is not a setting"),
        ("sft", "replay_dataset", "/etc", "replay_dataset is not a setting"),
    ],
)
def test_a_setting_that_cannot_be_is_named(kind: str, name: str, value: Any, said: str) -> None:
    with pytest.raises(SettingUnknown, match=said.replace("(", r"\(")):
        checked({name: value}, kind)


@pytest.mark.parametrize(
    ("kind", "overrides", "said"),
    [
        ("grpo", {"update_batch": 12}, "update_batch=12 is not a multiple of group_size=8: choose 16"),
        ("grpo", {"update_batch": 48, "prompts_per_batch": 8}, "update_batch=48 and the 64 completions"),
        ("grpo", {"clip_floor": 0.3}, "clip_floor=0.3 is above the clip range"),
        ("grpo", {"generation": "vllm_server"}, "server is empty"),
        ("mine", {"engine": "server"}, "server is empty: engine=server"),
        ("mine", {"keep": "mixed", "rollouts": 1}, "rollouts=1: keep=mixed needs at least 2"),
    ],
)
def test_settings_that_do_not_fit_together_are_named(kind: str, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingUnknown, match=said):
        made("starter-sft", kind, **overrides)


def test_replay_needs_a_dataset_to_replay() -> None:
    assert made("starter-sft", "sft", replay_rows=100).replay_rows == 100
    places = {"base_model": "a", "dataset": "b", "media_root": "c"}
    with pytest.raises(SettingUnknown, match="replay_rows=100"):
        config_for("starter-sft", "sft", places=places, overrides={"replay_rows": 100})
    with pytest.raises(SettingUnknown, match="model is not a place of sft runs"):
        config_for("starter-sft", "sft", places={"model": "a"}, overrides={})


def test_unknown_recipes_stages_and_kinds_are_named() -> None:
    with pytest.raises(RecipeUnknown, match="'omni' is not one of starter-sft"):
        made("omni", "sft")
    with pytest.raises(RecipeUnknown, match="hs-dpo has no stage 'sft'; it has mine, dpo"):
        made("hs-dpo", "sft")
    with pytest.raises(RecipeUnknown, match="'ppo' is not a kind of run"):
        fields_of("ppo")


def test_every_number_has_a_range_and_every_range_a_setting() -> None:
    known = {name for kind in KINDS for name in fields_of(kind)}
    assert set(RANGES) | set(CHOICES) <= known
    numbers = {name for kind in KINDS for name, field in fields_of(kind).items() if field.type in (int, float)}
    assert numbers - set(RANGES) == set()


def test_settings_stand_side_by_side_for_each_stage() -> None:
    for kind in KINDS:
        rows = settings_side_by_side(kind)
        assert all(len(row.by_recipe) == len(recipes_with(kind)) for row in rows)
        assert any(row.by_recipe[0] is not None for row in rows)
