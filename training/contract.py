"""The interface between the product and a job: the files of a run directory.

    RUN_DIR/config.json      written by the product before the job starts
    RUN_DIR/progress.json    the job's heartbeat: replaced atomically every few seconds and at every logged step
    RUN_DIR/metrics.jsonl    one JSON object per logged step: {"step", "epoch", "loss", "lr", "tokens", "seconds", ...}
    RUN_DIR/checkpoints/     checkpoint-N folders; the job resumes from the newest one
    RUN_DIR/model/           the finished model with its processor, loadable by an engine
    RUN_DIR/predictions.jsonl  (evaluate) one row per sample; appended, so that a stopped evaluation can resume
    RUN_DIR/mined.jsonl      (mine) one row per sample with its rollouts and pass rate; appended
    RUN_DIR/rows.jsonl       (mine) the kept rows in the snapshot's format, each with "pass_rate" and "rollouts": the
                                    input of grpo and dpo
    RUN_DIR/rollouts.jsonl   (grpo) sample completions: {"step", "id", "prompt", "completion", "tokens", "reward",
                                    "parts", "advantage"}
    RUN_DIR/accelerate.yaml  written by the product if a run has several processes: the job then starts through
                             `accelerate launch`
    RUN_DIR/environment.json versions, devices and processes (training.learning.environment), rewritten at each start
    RUN_DIR/result.json      written last, atomically: its existence means that the job is done
    RUN_DIR/cancel           created by the product: the job stops at the next step, saves a checkpoint and exits with
                             EXIT_CANCELLED
    RUN_DIR/log.txt          stdout and stderr of the process

This module imports neither Django nor torch.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

# EX_TEMPFAIL: stopped on request, can be resumed
EXIT_CANCELLED = 75

CONFIG = "config.json"
PROGRESS = "progress.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
MODEL = "model"
PREDICTIONS = "predictions.jsonl"
MINED = "mined.jsonl"
ROWS = "rows.jsonl"
ROLLOUTS = "rollouts.jsonl"
ACCELERATE = "accelerate.yaml"
ENVIRONMENT = "environment.json"
RESULT = "result.json"
CANCEL = "cancel"
LOG = "log.txt"


@dataclass(frozen=True, slots=True)
class SftConfig:
    """Config of `training.jobs.sft`. Paths are absolute or relative to the working directory of the job."""

    base_model: str  # local folder or hub id of the checkpoint to start from
    dataset: str  # snapshot JSONL, see training.learning.rows for the row
    media_root: str  # folder to which the rows' frame paths are relative
    epochs: float = 3.0
    max_steps: int = -1  # if > 0, takes precedence over epochs
    learning_rate: float = 5e-5
    lr_scheduler: str = "cosine"
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    batch_size: int = 8  # rows per device and step
    gradient_accumulation: int = 1
    max_grad_norm: float = 1.0
    cutoff_tokens: int = 4096  # longer rows are dropped and counted, never truncated inside media
    lora_rank: int = 0  # 0: full fine-tuning
    lora_alpha: int = 32
    freeze_vision: bool = True
    bf16: bool = False
    seed: int = 17
    save_every: int = 50  # steps
    log_every: int = 5  # steps
    threads: int = 0  # 0: torch's default
    # weight of the loss on prompt tokens; 0 is the papers' completion-only loss
    loss_on_prompt: float = 0.0
    replay_dataset: str = ""  # optional second JSONL, mixed in against forgetting
    replay_media_root: str = ""  # "": the same media root
    replay_rows: int = 0  # number of its train rows to use, drawn by seed
    adam_beta2: float = 0.999
    gradient_checkpointing: bool = False  # less memory for about a third more time
    save_bf16: bool = False  # weights of the finished model; checkpoints keep fp32
    pool_batches: int = 50  # number of batches whose rows are sorted by length together
    # concatenate the text rows of a batch instead of padding them; batches with media are padded
    packing: bool = False


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Config of `training.jobs.evaluate`."""

    model: str
    dataset: str
    media_root: str
    split: str = "holdout"  # rows with this split are scored; "" scores all
    batch_size: int = 32
    max_new_tokens: int = 4096
    bootstrap_samples: int = 1000
    seed: int = 17
    threads: int = 0
    # ids of rows of the other split that are predicted too, but not scored
    watched: tuple[str, ...] = ()
    policies: bool = True  # False: the guard takes no policy, so the rows' policies are ignored
    # rows beyond the guard's context are judged in at most so many windows, neighbours sharing so many tokens; longer
    # ones are left out, counted and named
    windows: int = 4
    window_overlap: int = 128
    context: int = 0  # tokens of prompt and completion; 0: the model's own limit
    # see guardapp.guard.engines.kinds: transformers, vllm (in the job's process), server (which holds the model)
    engine: str = "transformers"
    vllm_url: str = ""  # for server; several are separated by commas. Never from a run's settings
    # completions sampled besides the greedy one, as many as serving samples, for probabilities of harm as it measures
    # them; of at most `rollout_rows` scored rows, since they cost as much again each
    rollouts: int = 0
    rollout_rows: int = 400


@dataclass(frozen=True, slots=True)
class MineConfig:
    """Config of `training.jobs.mine`: sample rollouts of each train row and keep rows that are sometimes wrong."""

    model: str
    dataset: str
    media_root: str
    # name of the model version; rollouts of this version in `known` are reused
    version: str = ""
    # JSONL of earlier rollouts: {"id", "version", "completions": [text, …]}; "" for none
    known: str = ""
    split: str = "train"
    rollouts: int = 4
    keep: str = "any_wrong"  # see guardapp.guard.rl.mining: all_wrong, any_wrong, mixed
    temperature: float = 1.0
    top_p: float = 0.95
    max_new_tokens: int = 4096
    batch_size: int = 32  # rows per call of the engine
    seed: int = 17
    threads: int = 0
    # see guardapp.guard.engines.kinds: transformers, vllm (in the job's process), server (which holds the model)
    engine: str = "transformers"
    server: str = ""  # for engine=server: one of the names in GUARDAPP_TRAINING_SERVERS
    vllm_url: str = ""  # its addresses, separated by commas; set when the job starts


@dataclass(frozen=True, slots=True)
class GrpoConfig:
    """Config of `training.jobs.grpo`. Names follow the papers; the job converts them to TRL's."""

    base_model: str
    dataset: str  # rows.jsonl of a mining, or any snapshot: train rows with gold labels
    media_root: str
    reward: str = "omni-v2"  # see guardapp.guard.rl.rewards
    group_size: int = 8  # completions per prompt
    prompts_per_batch: int = 16  # prompts per rollout batch
    update_batch: int = 128  # completions per optimizer step
    micro_batch: int = 8  # completions per forward pass
    num_iterations: int = 1  # passes over each rollout batch
    epochs: float = 1.0
    max_steps: int = -1  # optimizer steps; if > 0, takes precedence over epochs
    learning_rate: float = 2e-6
    lr_scheduler: str = "cosine"
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    adam_beta2: float = 0.999
    temperature: float = 1.0
    top_p: float = 0.95
    max_prompt_tokens: int = 4096  # longer rows are dropped and counted
    max_new_tokens: int = 2048
    clip_low: float = 0.2
    clip_high: float = 0.2
    clip_schedule: str = "constant"  # see guardapp.guard.rl.clip_range: constant, product, linear
    clip_floor: float = 0.0
    loss: str = "token_mean"  # token_mean, sequence_mean
    skip_zero_advantage: bool = False  # skip groups whose rewards are all equal
    # share of the training rows that are safety-aware concatenations, 0 to 1
    concat_share: float = 0.0
    concat_balance: bool = False  # as many harmful as unharmful concatenations
    # pixel budget of a concatenation's merged picture: see guardapp.guard.media.decode.PRESETS
    media_preset: str = "starter"
    generation: str = "transformers"  # one of GENERATIONS
    # completions that transformers samples together: limits memory without changing results
    generation_batch: int = 128
    server: str = ""  # for vllm_server: one of the names in GUARDAPP_TRAINING_SERVERS
    vllm_url: str = ""  # its address; set when the job starts
    lora_rank: int = 0
    lora_alpha: int = 32
    freeze_vision: bool = True
    bf16: bool = False
    gradient_checkpointing: bool = False
    seed: int = 17
    save_every: int = 50  # optimizer steps
    log_every: int = 1
    threads: int = 0
    save_bf16: bool = False


@dataclass(frozen=True, slots=True)
class DpoConfig:
    """Config of `training.jobs.dpo`: pairs of a right and a wrong rollout of one row.

    The rows are a mining's rows.jsonl or preference rows.
    """

    base_model: str
    dataset: str
    media_root: str
    beta: float = 0.01
    # weight of the right completion's likelihood, relative to the preference loss
    sft_weight: float = 2.0
    weight_spread: float = 0.2  # a pair weighs 1 + Norm(wrong − right), from −spread to +spread
    epochs: float = 2.0
    max_steps: int = -1
    learning_rate: float = 5e-6
    lr_scheduler: str = "cosine"
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 8  # pairs per device and step
    gradient_accumulation: int = 1
    cutoff_tokens: int = 4096
    lora_rank: int = 0
    lora_alpha: int = 32
    freeze_vision: bool = True
    bf16: bool = False
    gradient_checkpointing: bool = False
    seed: int = 17
    save_every: int = 50
    log_every: int = 5
    threads: int = 0
    save_bf16: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """A job's heartbeat. `at` is Unix time in seconds."""

    stage: str  # loading, encoding, training, saving, predicting, scoring
    done: int
    total: int  # 0: unknown yet
    at: float = 0.0
    eta_s: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


# how a GRPO run samples completions
GENERATIONS = ("transformers", "vllm_colocate", "vllm_server")

Config = TypeVar("Config")


def write_json(path: Path, value: Any) -> None:
    """Write atomically: a reader sees either the old or the new file."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1))
    temporary.replace(path)


def write_progress(run_dir: Path, progress: Progress) -> None:
    write_json(run_dir / PROGRESS, asdict(progress) | {"at": time.time()})


def read_json(path: Path) -> Any | None:
    """Read a JSON file; None if it does not exist yet."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


class ConfigNotUsable(ValueError):
    """RUN_DIR/config.json is missing, or lacks fields that the job requires; the message says which."""


def read_config(run_dir: Path, kind: type[Config]) -> Config:
    """Read the job's config. Raises ConfigNotUsable."""
    value = read_json(run_dir / CONFIG)
    if not isinstance(value, dict):
        raise ConfigNotUsable(f"{run_dir / CONFIG} does not exist.")
    try:
        return kind(**value)
    except TypeError as error:
        raise ConfigNotUsable(f"{run_dir / CONFIG}: {error}") from error


def cancel_requested(run_dir: Path) -> bool:
    return (run_dir / CANCEL).exists()
