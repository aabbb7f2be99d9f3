"""Run directories for GRPO on a tiny checkpoint, and its trainer without the job around it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from tests.guard.tiny_checkpoint import Family, build_checkpoint
from tests.training.tiny_run import mixed_rows, write_rows
from training.contract import CONFIG, GrpoConfig, write_json
from training.jobs import grpo
from training.learning.grpo.batches import Batches, trainer_arguments
from training.learning.grpo.data import Prompts, graded_rows
from training.learning.grpo.trainer import GuardGrpoTrainer
from training.learning.heartbeat import Heartbeat
from training.learning.rows import Row

SMALL: dict[str, Any] = {
    "reward": "accuracy",
    "group_size": 4,
    "prompts_per_batch": 2,
    "update_batch": 8,
    "micro_batch": 4,
    "max_new_tokens": 12,
    "learning_rate": 1e-3,
    "lr_scheduler": "constant",
    "freeze_vision": False,
    "threads": 1,
    "save_every": 1000,
    "max_steps": 3,
}


def grpo_run(
    folder: Path, *, rows: int | Sequence[Row] = 8, family: Family = "qwen3_vl", base: Path | None = None, **config: Any
) -> Path:
    """A run directory that `training.jobs.grpo` can start on."""
    folder.mkdir(parents=True)
    media_root = folder / "media"
    kept = (
        mixed_rows(media_root, rows, side=64 if family == "qwen3_vl" else 56) if isinstance(rows, int) else list(rows)
    )
    dataset = write_rows(folder / "rows.jsonl", kept, media_root)
    checkpoint = base or build_checkpoint(folder / "base", family)
    write_json(
        folder / CONFIG,
        asdict(
            GrpoConfig(base_model=str(checkpoint), dataset=str(dataset), media_root=str(media_root), **(SMALL | config))
        ),
    )
    return folder


def trainer_of(run_dir: Path, config: GrpoConfig, kind: type[GuardGrpoTrainer] = GuardGrpoTrainer) -> GuardGrpoTrainer:
    """The trainer that the job would build, ready to train."""
    torch.set_num_threads(1)
    heartbeat = Heartbeat(run_dir)
    prompts = Prompts.measure(
        load_processor(config.base_model), graded_rows(config, run_dir), config.max_prompt_tokens, heartbeat
    )
    model = load_model(config.base_model, dtype=torch.float32)
    batches = Batches.plan(config, 1)
    return grpo.build_trainer(
        config, trainer_arguments(config, run_dir, batches), model, prompts, batches, heartbeat, kind
    )
