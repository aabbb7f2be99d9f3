"""Reinforcement learning with GRPO: `python -m training.jobs.grpo RUN_DIR`.

Reads RUN_DIR/config.json (GrpoConfig), samples groups of completions for the train rows, rewards them against the gold
labels and reinforces those better than their group: PPO's clipped objective without a KL term. A batch may mix text,
image and video rows. Writes RUN_DIR/model and RUN_DIR/result.json. If killed, the same command resumes from the newest
complete checkpoint.
"""

import logging
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import trl
from datasets import Dataset

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from training.contract import ConfigNotUsable, GrpoConfig
from training.learning.fillers import blank_media
from training.learning.grpo.batches import Batches, check, clip_schedule, trainer_arguments
from training.learning.grpo.data import Prompts, graded_rows
from training.learning.grpo.report import Clipping, GrpoReporter
from training.learning.grpo.trainer import GuardGrpoTrainer
from training.learning.heartbeat import Heartbeat
from training.learning.job_parts import freeze_vision, in_shares, lora, train_and_save
from training.learning.lifecycle import Job, by_all, run_job, start_as_program
from training.learning.processes import processes

log = logging.getLogger("training.jobs.grpo")


def main(run_dir: Path) -> int:
    return run_job(run_dir, GrpoConfig, train)


def train(job: Job[GrpoConfig]) -> dict[str, Any]:
    config = job.config
    check(config)
    batches = Batches.plan(config, processes())
    # synchronises the processes
    arguments = trainer_arguments(config, job.run_dir, batches)
    processor = load_processor(config.base_model)
    model = load_model(config.base_model, dtype=torch.float32)
    # the first draws the merged pictures
    with arguments.main_process_first():
        rows = graded_rows(config, job.run_dir)
    prompts = by_all(lambda: Prompts.measure(processor, rows, config.max_prompt_tokens, job.heartbeat))
    log.info("%d prompts, %d dropped as longer than %d tokens", len(prompts), prompts.dropped, config.max_prompt_tokens)
    refuse_videos(config, prompts)

    trainer = build_trainer(config, arguments, model, prompts, batches, job.heartbeat)
    result = train_and_save(job, trainer, processor)
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    return result | {
        "train_rows": len(prompts),
        "dropped": prompts.dropped,
        "dropped_ids": prompts.dropped_ids,
        "concatenated": sum(row.source == "concatenation" for row in prompts.rows),
        "rollouts": trainer.rollouts_drawn,
        "first_reward": logged[0]["reward"],
        "final_reward": logged[-1]["reward"],
        "final_pass_rate": logged[-1]["pass_rate"],
        "reward": config.reward,
    }


def refuse_videos(config: GrpoConfig, prompts: Prompts) -> None:
    """Raises ConfigNotUsable."""
    if config.generation != "vllm_server" or processes() == 1:
        return
    if any(prompts.has_video(row) for row in range(len(prompts))):
        raise ConfigNotUsable(
            "generation='vllm_server' with several processes does not support video rows: use 'vllm_colocate'."
        )


def build_trainer(
    config: GrpoConfig,
    arguments: trl.GRPOConfig,
    model: Any,
    prompts: Prompts,
    batches: Batches,
    heartbeat: Heartbeat,
    kind: type[GuardGrpoTrainer] = GuardGrpoTrainer,
) -> GuardGrpoTrainer:
    """Build the trainer with its callbacks. The first clip range applies from the first step."""
    freeze_vision(model, config)
    clipping, reporter = Clipping(clip_schedule(config)), GrpoReporter(heartbeat)
    trainer = kind(
        config=config,
        prompts=prompts,
        batches=batches,
        model=model,
        args=arguments,
        processing_class=prompts.processor,
        peft_config=lora(config),
        callbacks=[clipping, reporter],
        train_dataset=Dataset.from_dict({"prompt": [""] * len(prompts), "index": list(range(len(prompts)))}),
    )
    clipping.trainer = reporter.trainer = trainer
    trainer.beat = reporter.beat
    if in_shares(trainer):
        trainer.fillers = blank_media(prompts.processor)
    return trainer


if __name__ == "__main__":
    start_as_program(main, __doc__)
