"""Stock TRL and plain `generate` on the rows and settings of the project's jobs, for benchmarks.training."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import trl
from datasets import Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import DEFAULT_CALLBACKS

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from guardapp.guard.engines.hf.encoding import collate, encode, render_prompt
from training.contract import GrpoConfig, MineConfig, SftConfig
from training.learning.grpo.batches import Batches
from training.learning.grpo.scoring import Grader
from training.learning.job_parts import vision_tower
from training.learning.rows import Row


class Clock(TrainerCallback):  # type: ignore[misc]
    """Record the CPU seconds at the end of each step, for any trainer: transformers adds its default callbacks."""

    ends: list[float] = []  # of the current run

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.ends.clear()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.ends.append(time.process_time())


DEFAULT_CALLBACKS.append(Clock)


def steps_a_second() -> float:
    """Steps per second of the last run, from the end of its first step to the end of its last."""
    return (len(Clock.ends) - 1) / (Clock.ends[-1] - Clock.ends[0])


def frozen(checkpoint: str) -> Any:
    """Load the model with its vision tower frozen, as in the jobs' configs."""
    model = load_model(checkpoint, dtype=torch.float32)
    for parameter in vision_tower(model).parameters():
        parameter.requires_grad = False
    return model


def shared(config: SftConfig | GrpoConfig, folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "stock"),
        "use_cpu": True,
        "bf16": False,
        "max_steps": config.max_steps,
        "seed": config.seed,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler,
        "warmup_steps": config.warmup_ratio,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "adam_beta2": config.adam_beta2,
        "gradient_checkpointing": False,
        "logging_steps": config.log_every,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def sft(config: SftConfig, rows: Sequence[Row], folder: Path) -> float:
    """trl.SFTTrainer on the same token ids, with the loss on completions only."""
    processor = load_processor(config.base_model)
    encoded = [encode(processor, row.sample, row.completion) for row in rows]
    dataset = Dataset.from_dict(
        {
            "input_ids": [one.input_ids.tolist() for one in encoded],
            "completion_mask": [[int(at >= one.prompt_tokens) for at in range(len(one))] for one in encoded],
        }
    )
    trl.SFTTrainer(
        model=frozen(config.base_model),
        train_dataset=dataset,
        processing_class=processor.tokenizer,
        args=trl.SFTConfig(
            **shared(config, folder),
            per_device_train_batch_size=config.batch_size,
            max_length=None,
            gradient_accumulation_steps=config.gradient_accumulation,
            completion_only_loss=True,
        ),
    ).train()
    return steps_a_second()


def grpo(config: GrpoConfig, rows: Sequence[Row], folder: Path) -> float:
    """trl.GRPOTrainer on the same prompts with the same reward."""
    processor = load_processor(config.base_model)
    batches, tokenizer = Batches.plan(config, 1), processor.tokenizer
    reward = Grader(
        list(rows), tokenizer, [tokenizer.eos_token_id], reward=config.reward, max_tokens=config.max_new_tokens
    )
    dataset = Dataset.from_dict(
        {"prompt": [render_prompt(processor, row.sample) for row in rows], "index": list(range(len(rows)))}
    )
    trl.GRPOTrainer(
        model=frozen(config.base_model),
        train_dataset=dataset,
        processing_class=tokenizer,
        reward_funcs=[reward],
        args=trl.GRPOConfig(
            **shared(config, folder),
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
            loss_type="dapo",
            remove_unused_columns=False,
        ),
    ).train()
    return steps_a_second()


@torch.inference_mode()  # type: ignore[untyped-decorator]
def generate(config: MineConfig, rows: Sequence[Row]) -> float:
    """Rollouts per second of `model.generate` with `num_return_sequences`, including loading, encoding and decoding."""
    began, drawn = time.process_time(), 0
    processor = load_processor(config.model)
    tokenizer = processor.tokenizer
    model = load_model(config.model, dtype=torch.float32).eval()
    for batch in in_batches(rows, config.batch_size):
        inputs = collate(
            [encode(processor, row.sample) for row in batch], pad_token_id=tokenizer.pad_token_id, side="left"
        )
        output = model.generate(
            **inputs,
            do_sample=True,
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=0,
            num_return_sequences=config.rollouts,
            max_new_tokens=config.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        drawn += len(tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return drawn / (time.process_time() - began)


def in_batches(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
