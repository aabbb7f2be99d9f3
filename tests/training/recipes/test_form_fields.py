"""A recipe as a form and back: what is typed, what is kept, what is refused by name."""

import pytest

from training.recipes import RECIPES, config_for, from_toml, to_toml
from training.recipes.form_fields import read, shown, texts_of, with_settings

STARTER, V1 = RECIPES["starter-sft"], RECIPES["omni-v1"]


def test_an_untouched_form_changes_nothing() -> None:
    for recipe in RECIPES.values():
        kinds = list(recipe.stages)
        texts = {field.key: field.text for stage in shown(recipe, kinds, {}, {}) for field in stage.fields}
        edited = read(recipe, kinds, texts)
        assert not edited.errors and not any(edited.overrides.values())


def test_what_is_typed_becomes_a_value_of_its_kind() -> None:
    edited = read(
        STARTER,
        ["sft", "grpo"],
        {
            "sft-epochs": "2",
            "sft-bf16": "yes",
            "sft-lora_rank": " 8 ",
            "sft-batch_size": "16",
            "grpo-reward": "vl",
            "grpo-learning_rate": "2e-6",
        },
    )
    assert edited.overrides == {
        "sft": {"epochs": 2.0, "bf16": True, "lora_rank": 8},
        "grpo": {"reward": "vl", "learning_rate": 2e-6},
    }
    assert not edited.errors


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("sft-epochs", "many"),
        ("sft-epochs", "0"),
        ("sft-epochs", "nan"),
        ("sft-batch_size", "1.5"),
        ("sft-bf16", "perhaps"),
        ("grpo-reward", "none"),
        ("grpo-clip_low", ""),
        ("grpo-top_p", "2"),
        ("mine-keep", "everything"),
        ("grpo-update_batch", "60"),
        ("grpo-generation", "vllm_server"),
        ("mine-rollouts", "0"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(key: str, text: str) -> None:
    edited = read(STARTER, list(STARTER.stages), {key: text})
    named = "server" if text == "vllm_server" else key.split("-")[1]
    assert [name for _, name in edited.errors] == [named] and named in next(iter(edited.errors.values()))
    marked = [
        field
        for stage in shown(STARTER, list(STARTER.stages), {key: text}, edited.errors)
        for field in stage.fields
        if field.error
    ]
    assert [field.name for field in marked] == [named]


def test_each_field_says_its_preset_source_and_unit() -> None:
    [stage] = shown(V1, ["grpo"], {"grpo-clip_high": "0.28"}, {})
    fields = {field.name: field for field in stage.fields}
    assert (fields["clip_high"].text, fields["clip_high"].preset, fields["clip_high"].changed) == ("0.28", "0.3", True)
    assert "148k" in fields["clip_high"].source and fields["group_size"].unit == "completions per prompt"
    assert fields["seed"].source == "the job's default" and fields["reward"].choices and stage.changed == 1


def test_form_and_toml_say_the_same() -> None:
    changed = with_settings(V1, read(V1, list(V1.stages), {"grpo-clip_high": "0.28", "mine-rollouts": "8"}).overrides)
    back = from_toml(to_toml(changed))
    assert texts_of(back) == texts_of(changed) and texts_of(back)["grpo-clip_high"] == "0.28"
    config = config_for(back, "mine", places={"model": "m", "dataset": "d", "media_root": "r"}, overrides={})
    assert config.rollouts == 8  # type: ignore[union-attr]
