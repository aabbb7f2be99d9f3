"""GRPO batch arithmetic: how rollout batches, update batches and forward passes fit together."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import trl

from guardapp.guard.media.values import PRESETS
from guardapp.guard.rl.clip_range import ClipSchedule
from guardapp.guard.rl.rewards import reward_named
from training.contract import GENERATIONS, ConfigNotUsable, GrpoConfig
from training.learning.job_parts import shared_arguments

LOSSES = {"token_mean": "dapo", "sequence_mean": "grpo"}  # ours → the closest of TRL's


@dataclass(frozen=True, slots=True)
class Batches:
    """Batch sizes. A rollout batch is sampled from one state of the guard; an update batch is one optimizer step.

    One of the two must be a multiple of the other: GuardReasoner-Omni v1 and VL make several updates from one rollout
    batch, v2 makes one.
    """

    micro: int  # completions per forward pass and process
    accumulation: int  # forward passes per update and process
    per_rollout: int  # forward passes per rollout batch and process
    # the prompts of an epoch are padded to a multiple of this, so that no batch is short
    block_prompts: int

    @property
    def updates(self) -> int:
        """Updates per rollout batch, at least 1."""
        return max(1, self.per_rollout // self.accumulation)

    @property
    def rollouts(self) -> int:
        """Rollout batches per update, at least 1."""
        return max(1, self.accumulation // self.per_rollout)

    @classmethod
    def plan(cls, config: GrpoConfig, processes: int) -> "Batches":
        """Derive the sizes from a config. Raises ConfigNotUsable, naming the conflicting fields."""
        rollout = config.prompts_per_batch * config.group_size
        if config.group_size < 2:
            raise ConfigNotUsable(
                f"group_size={config.group_size}: an advantage needs at least 2 completions per prompt."
            )
        if config.prompts_per_batch % processes:
            raise ConfigNotUsable(
                f"prompts_per_batch={config.prompts_per_batch} is not divisible by the {processes} processes."
            )
        if config.update_batch % processes:
            raise ConfigNotUsable(f"update_batch={config.update_batch} is not divisible by the {processes} processes.")
        if rollout % config.update_batch and config.update_batch % rollout:
            raise ConfigNotUsable(
                f"update_batch={config.update_batch} and the {rollout} completions of a rollout batch "
                "(prompts_per_batch × group_size): "
                "one must be a multiple of the other."
            )
        local_update, local_rollout = config.update_batch // processes, rollout // processes
        micro = max(
            size
            for size in range(1, max(1, config.micro_batch) + 1)
            if local_update % size == 0 and local_rollout % size == 0
        )
        block = max(config.prompts_per_batch, config.update_batch // config.group_size)
        return cls(micro, local_update // micro, local_rollout // micro, block)


def check(config: GrpoConfig) -> None:
    """Validate before anything is loaded. Raises ConfigNotUsable, RewardUnknown or ClipNotUsable."""
    reward_named(config.reward)
    clip_schedule(config)
    if config.loss not in LOSSES:
        raise ConfigNotUsable(f"loss={config.loss!r} is not one of {', '.join(LOSSES)}.")
    if config.generation not in GENERATIONS:
        raise ConfigNotUsable(f"generation={config.generation!r} is not one of {', '.join(GENERATIONS)}.")
    if not 0 <= config.concat_share < 1:
        raise ConfigNotUsable(f"concat_share={config.concat_share} must be at least 0 and below 1.")
    if config.media_preset not in PRESETS:
        raise ConfigNotUsable(f"media_preset={config.media_preset!r} is not one of {', '.join(PRESETS)}.")
    if config.generation != "transformers":
        check_vllm(config)


def check_vllm(config: GrpoConfig) -> None:
    """Check that vLLM can be used. Raises ConfigNotUsable, with the fix."""
    if importlib.util.find_spec("vllm") is None:
        raise ConfigNotUsable(
            f"generation={config.generation!r} needs vLLM, which is not installed: "
            "pip install 'guardapp[vllm]', or use generation='transformers'."
        )
    if not torch.cuda.is_available():
        raise ConfigNotUsable(f"generation={config.generation!r} needs a CUDA device: use generation='transformers'.")
    if config.generation == "vllm_server" and not config.vllm_url:
        raise ConfigNotUsable("generation='vllm_server' needs a server, at which `trl vllm-serve` answers.")


def clip_schedule(config: GrpoConfig) -> ClipSchedule:
    """The clip schedule of a config. Raises ClipNotUsable."""
    return ClipSchedule(config.clip_low, config.clip_high, config.clip_schedule, config.clip_floor)


def trainer_arguments(config: GrpoConfig, run_dir: Path, batches: Batches) -> trl.GRPOConfig:
    """Convert the config to TRL's. Every field is set, because TRL's defaults differ from the papers'."""
    return trl.GRPOConfig(
        **shared_arguments(config, run_dir),
        per_device_train_batch_size=batches.micro,
        gradient_accumulation_steps=batches.accumulation,
        steps_per_generation=batches.per_rollout,
        num_generations=config.group_size,
        num_iterations=config.num_iterations,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        max_completion_length=config.max_new_tokens,
        beta=0.0,
        epsilon=config.clip_low,
        epsilon_high=config.clip_high,
        loss_type=LOSSES[config.loss],
        scale_rewards="group",
        use_vllm=config.generation != "transformers",
        vllm_mode="server" if config.generation == "vllm_server" else "colocate",
        vllm_server_base_url=config.vllm_url or None,
        vllm_max_model_length=config.max_prompt_tokens + config.max_new_tokens,
    )
