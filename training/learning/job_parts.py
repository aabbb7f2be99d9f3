"""Common parts of the training jobs: LoRA, the vision tower, checkpoints, reports and the saved model."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any, Protocol, TypeVar

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import transformers
import trl
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from guardapp.guard.engines.adapters import ADAPTER
from training.contract import CHECKPOINTS, MODEL, GrpoConfig, SftConfig
from training.learning.heartbeat import Heartbeat, JobCancelled
from training.learning.lifecycle import AnyConfig, Job
from training.learning.lora import LORA_TARGETS
from training.learning.processes import any_process, is_main_process

# written last by the trainer; without it, the checkpoint is incomplete
LAST_FILE_OF_A_CHECKPOINT = "trainer_state.json"

log = logging.getLogger("training.jobs")


class Trained(AnyConfig, Protocol):
    """The common fields of the training jobs' configs."""

    @property
    def base_model(self) -> str: ...

    @property
    def lora_rank(self) -> int: ...

    @property
    def lora_alpha(self) -> int: ...

    @property
    def freeze_vision(self) -> bool: ...

    @property
    def save_bf16(self) -> bool: ...


Config = TypeVar("Config", bound=Trained)


def vision_tower(model: Any) -> torch.nn.Module:
    tower: torch.nn.Module = model.model.visual
    return tower


def freeze_vision(model: Any, config: Trained) -> None:
    """Exclude the vision tower from training if the config says so."""
    if config.freeze_vision:
        for parameter in vision_tower(model).parameters():
            parameter.requires_grad = False


def lora(config: Trained) -> LoraConfig | None:
    """An adapter on the language model's linear layers; None for full fine-tuning."""
    if not config.lora_rank:
        return None
    return LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=LORA_TARGETS, task_type="CAUSAL_LM"
    )


def shared_arguments(config: SftConfig | GrpoConfig, run_dir: Path) -> dict[str, Any]:
    """The fields of transformers' TrainingArguments that are the same for all training jobs."""
    cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(run_dir / CHECKPOINTS),
        "use_cpu": cpu,
        "bf16": config.bf16 and (cpu or torch.cuda.is_bf16_supported()),
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler,
        "warmup_steps": config.warmup_ratio,
        "weight_decay": config.weight_decay,
        "adam_beta2": config.adam_beta2,
        "max_grad_norm": config.max_grad_norm,
        "gradient_checkpointing": config.gradient_checkpointing,
        "seed": config.seed,
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "logging_steps": config.log_every,
        "logging_first_step": True,
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": not cpu,
    }


def newest_checkpoint(run_dir: Path) -> Path | None:
    """Return the complete checkpoint with the most steps; incomplete ones left by a killed job are removed."""
    whole = []
    for folder in (run_dir / CHECKPOINTS).glob("checkpoint-*"):
        if (folder / LAST_FILE_OF_A_CHECKPOINT).exists():
            whole.append(folder)
        elif is_main_process():
            shutil.rmtree(folder)
    return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def save_model(trainer: Any, processor: Any, folder: Path, *, bf16: bool) -> None:
    """Write the whole model with its processor, so that an engine can load the folder directly.

    An adapter is merged, and also kept next to the weights for servers that hold the base model.
    """
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    shares = in_shares(trainer)
    # all processes send their shards to the first
    weights = trainer.accelerator.get_state_dict(trainer.model) if shares else None
    if not is_main_process():
        return
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(unfinished / ADAPTER)
        model = model.merge_and_unload()
    if weights is not None and bf16:
        weights = {
            name: tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    elif bf16:
        model = model.to(torch.bfloat16)
    model.save_pretrained(unfinished, state_dict=weights)
    processor.save_pretrained(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def in_shares(trainer: Any) -> bool:
    """Whether the weights are sharded over the processes (FSDP, ZeRO-3)."""
    plugin = trainer.accelerator.state.deepspeed_plugin
    return bool(trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3))


def train_and_save(job: Job[Config], trainer: Any, processor: Any) -> dict[str, Any]:
    """Train, resuming from the newest checkpoint, write RUN_DIR/model and return the common part of the result.

    Raises JobCancelled if stopped, after saving a checkpoint to resume from.
    """
    trainer.remove_callback(PrinterCallback)
    checkpoint = newest_checkpoint(job.run_dir)
    log.info("resuming from %s", checkpoint) if checkpoint else log.info("starting from %s", job.config.base_model)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    steps, total = trainer.state.global_step, trainer.state.max_steps
    if steps < total:
        raise JobCancelled(f"at step {steps} of {total}")
    job.heartbeat.beat("saving", steps, total)
    save_model(trainer, processor, job.run_dir / MODEL, bf16=job.config.save_bf16)
    return {
        "steps": steps,
        "epochs": trainer.state.epoch,
        "tokens": trainer.state.num_input_tokens_seen,
        "seconds": round(time.time() - job.began, 2),
        "base_model": job.config.base_model,
        "lora_rank": job.config.lora_rank,
        "transformers_version": transformers.__version__,
        "trl_version": trl.__version__,
        "torch_version": torch.__version__,
    }


def final_loss(trainer: Any) -> float:
    """The loss of the last logged step, or the mean of all steps if none was logged."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return float(losses[-1] if losses else trainer.state.log_history[-1]["train_loss"])


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Send heartbeats, write metrics.jsonl, and stop at the next step on request."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        self.began = time.time()
        self.first_token = 0
        self.latest: dict[str, float] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.began, self.first_token = time.time(), state.num_input_tokens_seen
        self.heartbeat.beat("training", state.global_step, state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.heartbeat.beat("training", state.global_step, state.max_steps, extra=self.latest)
        if any_process(self.heartbeat.cancelled) and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
        if state.global_step == state.max_steps:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        seconds = time.time() - self.began
        self.latest = self.measured(logs, state, seconds)
        line = {
            "step": state.global_step,
            "epoch": round(state.epoch or 0.0, 4),
            **self.latest,
            "tokens": state.num_input_tokens_seen,
            "seconds": round(seconds, 2),
        }
        log.info("step %d of %d: %s", state.global_step, state.max_steps, self.latest)
        self.heartbeat.metric(line)
        self.heartbeat.beat("training", state.global_step, state.max_steps, force=True, extra=self.latest)

    def measured(self, logs: dict[str, float], state: TrainerState, seconds: float) -> dict[str, float]:
        """The metrics of a logged step; subclasses add their own. `seconds` is the time since this start."""
        return {
            "loss": logs["loss"],
            "lr": logs["learning_rate"],
            "grad_norm": logs["grad_norm"],
            "tokens_per_s": round((state.num_input_tokens_seen - self.first_token) / max(seconds, 1e-6), 1),
        }
