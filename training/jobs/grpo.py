"""Reinforcement learning with GRPO: `python -m training.jobs.grpo RUN_DIR`.

Reads RUN_DIR/config.json (GrpoConfig), samples groups of completions for the train rows, rewards them against the gold
labels and reinforces those better than their group: PPO's clipped objective without a KL term. A batch may mix text,
image and video rows. Writes RUN_DIR/model and RUN_DIR/result.json. If killed, the same command resumes from the newest
complete checkpoint.
"""

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
import transformers
import trl
from datasets import Dataset

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from training.contract import EXIT_CANCELLED, MODEL, RESULT, ConfigNotUsable, GrpoConfig, read_config
from training.learning.environment import write_environment
from training.learning.fillers import blank_media
from training.learning.grpo.batches import Batches, check, clip_schedule, trainer_arguments
from training.learning.grpo.data import Prompts, graded_rows
from training.learning.grpo.report import Clipping, GrpoReporter
from training.learning.grpo.trainer import GuardGrpoTrainer
from training.learning.heartbeat import Heartbeat
from training.learning.job_parts import in_shares, lora, newest_checkpoint, save_model, vision_tower, write_result
from training.learning.processes import any_process, log_to_stdout, processes
from training.learning.rows import Row
from training.learning.sft_data import JobCancelled

log = logging.getLogger("training.jobs.grpo")


def main(run_dir: Path) -> int:
    """Run the job. Returns 0 when done, or EXIT_CANCELLED if stopped with a checkpoint to resume from."""
    if (run_dir / RESULT).exists():
        log.info("result.json is there: nothing left to do")
        return 0
    config = read_config(run_dir, GrpoConfig)
    check(config)
    batches = Batches.plan(config, processes())
    heartbeat = Heartbeat(run_dir)
    heartbeat.listen()
    began = time.time()
    if config.threads:
        torch.set_num_threads(config.threads)

    # synchronises the processes
    arguments = trainer_arguments(config, run_dir, batches)
    write_environment(run_dir)
    heartbeat.beat("loading", 0, 0)
    processor = load_processor(config.base_model)
    model = load_model(config.base_model, dtype=torch.float32)
    # the first draws the merged pictures
    with arguments.main_process_first():
        rows = graded_rows(config, run_dir)
    prompts = measured_prompts(processor, rows, config, heartbeat)
    if prompts is None:
        return EXIT_CANCELLED
    log.info("%d prompts, %d dropped as longer than %d tokens", len(prompts), prompts.dropped, config.max_prompt_tokens)
    if (
        config.generation == "vllm_server"
        and processes() > 1
        and any(prompts.has_video(row) for row in range(len(prompts)))
    ):
        raise ConfigNotUsable(
            "generation='vllm_server' with several processes does not support video rows: use 'vllm_colocate'."
        )

    trainer = build_trainer(config, arguments, model, prompts, batches, heartbeat)
    checkpoint = newest_checkpoint(run_dir)
    log.info("resuming from %s", checkpoint) if checkpoint else log.info("starting from %s", config.base_model)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    steps, total = trainer.state.global_step, trainer.state.max_steps
    if steps < total:
        log.info("cancelled at step %d of %d", steps, total)
        return EXIT_CANCELLED

    heartbeat.beat("saving", steps, total)
    save_model(trainer, processor, run_dir / MODEL, bf16=config.save_bf16)
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    write_result(
        run_dir,
        {
            "steps": steps,
            "epochs": trainer.state.epoch,
            "train_rows": len(prompts),
            "dropped": prompts.dropped,
            "concatenated": sum(row.source == "concatenation" for row in prompts.rows),
            "rollouts": trainer.rollouts_drawn,
            "first_reward": logged[0]["reward"],
            "final_reward": logged[-1]["reward"],
            "final_pass_rate": logged[-1]["pass_rate"],
            "tokens": trainer.state.num_input_tokens_seen,
            "seconds": round(time.time() - began, 2),
            "base_model": config.base_model,
            "reward": config.reward,
            "lora_rank": config.lora_rank,
            "transformers_version": transformers.__version__,
            "trl_version": trl.__version__,
            "torch_version": torch.__version__,
        },
    )
    return 0


def measured_prompts(processor: Any, rows: list[Row], config: GrpoConfig, heartbeat: Heartbeat) -> Prompts | None:
    """Encode the prompts to sample for. None if any process was asked to stop. Raises NoTrainingRows."""
    prompts = None
    try:
        prompts = Prompts.measure(processor, rows, config.max_prompt_tokens, heartbeat)
    except JobCancelled:
        pass
    return None if any_process(prompts is None) else prompts


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
    if config.freeze_vision:
        for parameter in vision_tower(model).parameters():
            parameter.requires_grad = False
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
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Reinforcement of a guard with GRPO.")
    parser.add_argument("run_dir", type=Path)
    log_to_stdout()
    sys.exit(main(parser.parse_args().run_dir))
