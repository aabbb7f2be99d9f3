"""Named presets of training, every value with its source; each of them can be edited on a run."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from training.contract import SftConfig

OURS = "ours"
OURS_CPU = "ours, for two CPU cores"
PAPER_VL = "GuardReasoner-VL"
PAPER_OMNI_V1 = "GuardReasoner-Omni, 148k rows"
PAPER_OMNI_V2 = "GuardReasoner-Omni, 181k rows"
NOT_FOUND = "not found in paper or code: ours"

PLACES = ("base_model", "dataset", "media_root")  # set by the run, never by a recipe
Value = int | float | bool | str


class RecipeUnknown(ValueError):
    """There is no recipe of that name. Choose one of the listed ones."""


class SettingUnknown(ValueError):
    """A training setting has a name that no recipe knows, or a value of the wrong kind."""


@dataclass(frozen=True, slots=True)
class Setting:
    value: Value
    source: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """A preset: what it is for, and the settings in which it differs from SftConfig's defaults."""

    name: str
    title: str
    summary: str
    settings: Mapping[str, Setting]

    def values(self) -> dict[str, Value]:
        return {name: setting.value for name, setting in self.settings.items()}


def _papers(source: str, *, epochs: float, cutoff: int, warmup: Setting, freeze: Setting) -> dict[str, Setting]:
    """What the three published recipes share (global batch 192 = 8 rows × 24 accumulated)."""
    return {
        "learning_rate": Setting(5e-5, source), "lr_scheduler": Setting("cosine", source), "warmup_ratio": warmup,
        "epochs": Setting(epochs, source), "batch_size": Setting(8, source), "gradient_accumulation": Setting(24, source),
        "cutoff_tokens": Setting(cutoff, source), "bf16": Setting(True, source), "max_grad_norm": Setting(1.0, source),
        "weight_decay": Setting(0.0, NOT_FOUND), "freeze_vision": freeze, "gradient_checkpointing": Setting(True, OURS),
        "save_bf16": Setting(True, OURS),
    }


STARTER_SFT = Recipe(
    "starter-sft", "Starter, full fine-tuning", "Corrections on the guard that ships with the project, on a CPU.",
    {
        "learning_rate": Setting(6e-4, OURS_CPU), "lr_scheduler": Setting("cosine", OURS_CPU), "warmup_ratio": Setting(0.05, OURS_CPU),
        "epochs": Setting(8.0, OURS_CPU), "batch_size": Setting(16, OURS_CPU), "gradient_accumulation": Setting(1, OURS_CPU),
        "cutoff_tokens": Setting(2048, OURS_CPU), "weight_decay": Setting(0.01, OURS_CPU), "max_grad_norm": Setting(1.0, OURS_CPU),
        "freeze_vision": Setting(True, OURS_CPU), "bf16": Setting(False, OURS_CPU), "save_bf16": Setting(True, OURS_CPU),
        "save_every": Setting(50, OURS_CPU), "log_every": Setting(2, OURS_CPU),
    },
)
OMNI_V1 = Recipe(
    "omni-v1", "GuardReasoner-Omni v1", "The published values of the 148k corpus; for a GPU.",
    _papers(PAPER_OMNI_V1, epochs=1.0, cutoff=32_768, warmup=Setting(0.03, PAPER_OMNI_V1), freeze=Setting(True, PAPER_OMNI_V1)),
)
OMNI_V2 = Recipe(
    "omni-v2", "GuardReasoner-Omni v2", "The published values of the 181k corpus; for a GPU.",
    _papers(PAPER_OMNI_V2, epochs=3.0, cutoff=24_576, warmup=Setting(0.03, PAPER_OMNI_V2), freeze=Setting(True, PAPER_OMNI_V2)),
)
VL = Recipe(
    "vl", "GuardReasoner-VL", "The published values of the VL corpus; for a GPU.",
    _papers(PAPER_VL, epochs=3.0, cutoff=2_048, warmup=Setting(0.03, NOT_FOUND), freeze=Setting(True, NOT_FOUND)),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (STARTER_SFT, OMNI_V1, OMNI_V2, VL)}
DEFAULT = STARTER_SFT.name


def recipe_named(name: str) -> Recipe:
    try:
        return RECIPES[name]
    except KeyError:
        raise RecipeUnknown(f"{name!r} is not one of {', '.join(RECIPES)}.") from None


def sft_config(recipe: Recipe, *, base_model: str, dataset: str, media_root: str, overrides: Mapping[str, Any]) -> SftConfig:
    """The job's config: SftConfig's defaults, then the recipe, then the overrides. Raises SettingUnknown."""
    values: dict[str, Any] = recipe.values() | checked(overrides)
    return SftConfig(base_model=base_model, dataset=dataset, media_root=media_root, **values)


def checked(overrides: Mapping[str, Any]) -> dict[str, Value]:
    """Overrides with known names and values of the right kind and sign."""
    kinds = {field.name: field.type for field in fields(SftConfig) if field.name not in PLACES}
    values: dict[str, Value] = {}
    for name, value in overrides.items():
        if name not in kinds:
            raise SettingUnknown(f"{name} is no setting of a training run. Known: {', '.join(sorted(kinds))}.")
        values[name] = _of_kind(name, value, kinds[name])
    return values


def _of_kind(name: str, value: Any, kind: Any) -> Value:
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            raise SettingUnknown(f"{name}={value!r} is not a {'yes or no' if kind is bool else 'text'}.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and int(value) != value):
        raise SettingUnknown(f"{name}={value!r} is not a {'whole ' if kind is int else ''}number.")
    if value < 0 and name != "max_steps":
        raise SettingUnknown(f"{name}={value!r} is below zero.")
    return int(value) if kind is int else float(value)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting across all recipes, in the order of RECIPES; None where a recipe keeps the job's default."""

    name: str
    by_recipe: tuple[Setting | None, ...]


def settings_side_by_side() -> tuple[SettingRow, ...]:
    names = dict.fromkeys(name for recipe in RECIPES.values() for name in recipe.settings)
    return tuple(SettingRow(name, tuple(recipe.settings.get(name) for recipe in RECIPES.values())) for name in names)
