"""Validation of settings: type, range or choices, and consistency between settings."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from math import isfinite
from typing import Any

from guardapp.guard.engines.kinds import ENGINES
from guardapp.guard.media.values import PRESETS
from guardapp.guard.rl.clip_range import SCHEDULES
from guardapp.guard.rl.mining import KeepRule
from guardapp.guard.rl.rewards import REWARDS
from training.contract import GENERATIONS, DpoConfig, GrpoConfig, MineConfig, SftConfig
from training.recipes.values import MOST, RecipeUnknown, SettingUnknown, Value

Config = SftConfig | MineConfig | GrpoConfig | DpoConfig
CONFIGS: dict[str, type[Config]] = {"sft": SftConfig, "mine": MineConfig, "grpo": GrpoConfig, "dpo": DpoConfig}
# files, folders and versions, which the run sets; not part of recipes and not editable
PLACES = (
    "base_model",
    "model",
    "dataset",
    "media_root",
    "replay_dataset",
    "replay_media_root",
    "known",
    "version",
    "vllm_url",
)
# settings of earlier releases, and what to do instead
GONE = {
    "vllm_url": "An address is never a setting of a run: name it in GUARDAPP_TRAINING_SERVERS, and give server=NAME."
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "keep": tuple(KeepRule),
    "reward": tuple(REWARDS),
    "clip_schedule": tuple(SCHEDULES),
    "loss": ("token_mean", "sequence_mean"),
    "generation": GENERATIONS,
    "split": ("train", "holdout"),
    "engine": tuple(ENGINES),
    "media_preset": tuple(PRESETS),
    "lr_scheduler": ("cosine", "linear", "constant", "constant_with_warmup"),
}


@dataclass(frozen=True, slots=True)
class Range:
    """An interval from `low` to `high`; with `open_low`, `low` itself is excluded."""

    low: float
    high: float = float("inf")
    open_low: bool = False

    def holds(self, value: float) -> bool:
        return isfinite(value) and (value > self.low if self.open_low else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        return low if self.high == float("inf") else f"{low} and at most {self.high:g}"


AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, SHARE = Range(1), Range(0), Range(0, open_low=True), Range(0, 1)
RANGES: Mapping[str, Range] = {
    **dict.fromkeys(
        (
            "batch_size",
            "gradient_accumulation",
            "cutoff_tokens",
            "pool_batches",
            "lora_alpha",
            "save_every",
            "log_every",
            "rollouts",
            "max_new_tokens",
            "prompts_per_batch",
            "update_batch",
            "micro_batch",
            "num_iterations",
            "max_prompt_tokens",
            "generation_batch",
        ),
        AT_LEAST_ONE,
    ),
    **dict.fromkeys(
        ("lora_rank", "threads", "replay_rows", "seed", "weight_decay", "max_grad_norm", "sft_weight", "clip_floor"),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(("epochs", "temperature", "beta", "clip_high"), POSITIVE),
    **dict.fromkeys(("loss_on_prompt", "concat_share", "warmup_ratio", "adam_beta2", "weight_spread"), SHARE),
    **dict.fromkeys(("top_p", "learning_rate", "clip_low"), Range(0, 1, open_low=True)),
    "group_size": Range(2),
    "max_steps": Range(-1),
}


def config_of(kind: str) -> type[Config]:
    """Return the config class of a kind of run. Raises RecipeUnknown."""
    try:
        return CONFIGS[kind]
    except KeyError:
        raise RecipeUnknown(f"{kind!r} is not a kind of run. Known: {', '.join(CONFIGS)}.") from None


def fields_of(kind: str) -> dict[str, Field[Any]]:
    """The editable settings of a kind of run, in the config's order. Raises RecipeUnknown."""
    return {field.name: field for field in fields(config_of(kind)) if field.name not in PLACES}


def places_of(kind: str) -> tuple[str, ...]:
    """The config fields that the run itself sets. Raises RecipeUnknown."""
    return tuple(field.name for field in fields(config_of(kind)) if field.name in PLACES)


def checked(overrides: Mapping[str, Any], kind: str = "sft") -> dict[str, Value]:
    """Validate names, types and ranges of overrides. Raises SettingUnknown or RecipeUnknown."""
    known = fields_of(kind)
    values: dict[str, Value] = {}
    for name, value in overrides.items():
        if name in GONE:
            raise SettingUnknown(f"{name} is not a setting of {kind} runs. {GONE[name]}")
        if name not in known:
            raise SettingUnknown(f"{name} is not a setting of {kind} runs. Known: {', '.join(sorted(known))}.")
        values[name] = _checked(name, value, known[name].type)
    return values


def _checked(name: str, value: Any, kind: Any) -> Value:
    known = _of_kind(name, value, kind)
    if name in CHOICES and known not in CHOICES[name]:
        raise SettingUnknown(f"{name}={value!r} is not one of {', '.join(CHOICES[name])}.")
    if name in RANGES and not RANGES[name].holds(float(known)):
        raise SettingUnknown(f"{name}={value!r} is not {RANGES[name]}.")
    if name == "max_steps" and known == 0:
        raise SettingUnknown("max_steps=0 trains nothing: give -1 to go by epochs, or the number of steps.")
    return known


def _of_kind(name: str, value: Any, kind: Any) -> Value:
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            raise SettingUnknown(f"{name}={value!r} is not a {'yes or no' if kind is bool else 'text'}.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and not _whole(value)):
        raise SettingUnknown(f"{name}={value!r} is not a {'whole ' if kind is int else ''}number.")
    if abs(value) > MOST:
        raise SettingUnknown(f"{name} is a number of more than 64 bits.")
    return int(value) if kind is int else float(value)


def _whole(value: float) -> bool:
    return isfinite(value) and int(value) == value


def check_together(config: Config) -> None:
    """Validate combinations of settings. Raises SettingUnknown, naming the setting to change."""
    if isinstance(config, SftConfig):
        _check_sft(config)
    elif isinstance(config, MineConfig):
        _check_mine(config)
    elif isinstance(config, GrpoConfig):
        _check_grpo(config)


def _check_sft(config: SftConfig) -> None:
    if config.replay_rows and not config.replay_dataset:
        raise SettingUnknown(
            f"replay_rows={config.replay_rows}, but there is nothing to replay: the version that it starts from was "
            "trained on no other snapshot here. Set replay_rows to 0."
        )


def _check_mine(config: MineConfig) -> None:
    if config.keep == KeepRule.MIXED and config.rollouts < 2:
        raise SettingUnknown(f"rollouts={config.rollouts}: keep=mixed needs at least 2, a right one and a wrong one.")
    if ENGINES[config.engine].remote and not config.server:
        raise SettingUnknown(
            f"server is empty: engine={config.engine} needs the name of a server that holds the guard."
        )


def _check_grpo(config: GrpoConfig) -> None:
    rollouts = config.prompts_per_batch * config.group_size
    _divides("update_batch", config.update_batch, "group_size", config.group_size)
    if rollouts % config.update_batch and config.update_batch % rollouts:
        raise SettingUnknown(
            f"update_batch={config.update_batch} and the {rollouts} completions of a rollout batch "
            "(prompts_per_batch × "
            "group_size): one must be a multiple of the other."
        )
    low = min(config.clip_low, config.clip_high)
    if config.clip_floor > low:
        raise SettingUnknown(f"clip_floor={config.clip_floor} is above the clip range itself: at most {low}.")
    if config.generation == "vllm_server" and not config.server:
        raise SettingUnknown("server is empty: generation=vllm_server needs the name of the server.")


def _divides(name: str, value: int, by: str, unit: int) -> None:
    if value % unit:
        raise SettingUnknown(
            f"{name}={value} is not a multiple of {by}={unit}: choose {max(1, round(value / unit)) * unit}."
        )
