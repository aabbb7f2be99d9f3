"""Train (SFT and GRPO) and evaluate a mid-size guard on one GPU, offline: training speed and gain in F1.

    python -m benchmarks.gpu_training --work runs/gpu [--data ../shared/data] [--size mid] [--minutes 25]
    python -m benchmarks.gpu_training --work runs/gpu-toy --toy        # the same steps on any CPU, in a minute or two

Rows: the starter's generated text, image and video rows, and with --data the open training sets of tier A. The guard
has the starter's architecture at `--size`, with random weights. SFT, GRPO and evaluation are the project's own jobs,
started like the product does. A short run of each job measures how many steps fit into `--minutes`. If interrupted, the
same command continues. The last line is one JSON object.

MFU: training FLOPs of the text model (trl's count: 6 per parameter and token, and attention) relative to the card's
bfloat16 peak. The vision tower is not counted, so it is slightly too low; for GRPO the sampling is not counted either,
so it is far too low. On a CPU it is null.
"""

import argparse
import json
import logging
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import AutoConfig
from trl.trainer.utils import compute_flops_per_token, get_peak_flops

from benchmarks.gpu_model import SIZES, write_base
from guardapp.guard.prompting import INSTRUCTION
from training.contract import METRICS, MODEL, RESULT, EvaluateConfig, GrpoConfig, SftConfig, read_json, write_json
from training.learning.json_lines import read_lines
from training.starter.architecture import train_tokenizer
from training.starter.build import run_job
from training.starter.dataset import held_out_rows, train_rows, write_rows
from training.starter.plan import STAGES, HeldOut

SEED = 29
# the starter's stage whose rows have full completions
QUOTING = 1
# in the folder of the untrained guard; written last
PARAMETERS = "parameters.json"
MAX_NEW_TOKENS = 160
TRIAL_STEPS = {"sft": 30, "grpo": 6}  # steps of the short runs that measure the pace
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The amount of everything. `minutes=0` stops after the trial runs."""

    size: str
    minutes: float
    text: int
    image: int
    video: int
    held_out: HeldOut
    batch_size: int
    prompts: int
    group_size: int


FULL = Plan(
    "mid",
    25,
    text=120_000,
    image=24_000,
    video=3_000,
    held_out=HeldOut(text=1_000, image=300, video=150),
    batch_size=128,
    prompts=64,
    group_size=8,
)
TOY = Plan(
    "toy",
    0,
    text=24,
    image=4,
    video=2,
    held_out=HeldOut(text=6, image=2, video=1),
    batch_size=4,
    prompts=2,
    group_size=2,
)
# of the minutes; the rest is for rows, trials and evaluations
SFT_SHARE, GRPO_SHARE = 0.45, 0.25


class Machine:
    """The folder of a run, and its jobs."""

    def __init__(self, work: Path, plan: Plan, data: Path | None) -> None:
        self.work = work
        self.plan = plan
        self.data = data
        self.cuda = torch.cuda.is_available()
        self.media_root = work / "media"
        self.media_root.mkdir(parents=True, exist_ok=True)

    def rows(self) -> Figures:
        """Write train.jsonl, holdout.jsonl and the untrained guard in base/."""
        if not (self.work / "holdout.jsonl").exists():
            plan = self.plan
            stage = replace(STAGES[QUOTING], text=plan.text, image=plan.image, video=plan.video)
            write_rows(train_rows(self.data, stage, SEED, self.media_root), self.work / "train.jsonl", self.media_root)
            write_rows(
                held_out_rows(plan.held_out, SEED, self.media_root), self.work / "holdout.jsonl", self.media_root
            )
        base = self.work / "base"
        if not (base / PARAMETERS).exists():
            rows = read_lines(self.work / "train.jsonl")
            texts = [text for row in rows for text in (row["prompt"], row["response"] or "", row["completion"])]
            write_json(
                base / PARAMETERS, write_base(train_tokenizer([*texts, INSTRUCTION]), SIZES[self.plan.size], base, SEED)
            )
        return {
            "size": self.plan.size,
            "parameters": read_json(base / PARAMETERS),
            "train_rows": len(read_lines(self.work / "train.jsonl")),
            "held_out_rows": len(read_lines(self.work / "holdout.jsonl")),
        }

    def sft(self, name: str, steps: int) -> Path:
        config = SftConfig(
            base_model=str(self.work / "base"),
            dataset=str(self.work / "train.jsonl"),
            media_root=str(self.media_root),
            max_steps=steps,
            learning_rate=6e-4,
            warmup_ratio=0.03,
            weight_decay=0.05,
            adam_beta2=0.98,
            batch_size=self.plan.batch_size,
            freeze_vision=False,
            bf16=self.cuda,
            seed=SEED,
            save_every=500,
            log_every=10,
            threads=0 if self.cuda else 1,
        )
        return self.job("sft", name, config)

    def grpo(self, name: str, base: Path, steps: int) -> Path:
        completions = self.plan.prompts * self.plan.group_size
        config = GrpoConfig(
            base_model=str(base),
            dataset=str(self.work / "train.jsonl"),
            media_root=str(self.media_root),
            reward="omni-v2",
            max_steps=steps,
            group_size=self.plan.group_size,
            prompts_per_batch=self.plan.prompts,
            update_batch=completions,
            micro_batch=min(64, completions),
            generation_batch=1024,
            max_prompt_tokens=2048,
            max_new_tokens=MAX_NEW_TOKENS,
            learning_rate=5e-6,
            warmup_ratio=0.05,
            skip_zero_advantage=True,
            bf16=self.cuda,
            seed=SEED,
            save_every=200,
            threads=0 if self.cuda else 1,
        )
        return self.job("grpo", name, config)

    def evaluate(self, name: str, model: Path) -> Figures:
        config = EvaluateConfig(
            model=str(model),
            dataset=str(self.work / "holdout.jsonl"),
            media_root=str(self.media_root),
            batch_size=128,
            max_new_tokens=MAX_NEW_TOKENS,
            bootstrap_samples=1000,
            seed=SEED,
            threads=0 if self.cuda else 1,
        )
        found = read_json(self.job("evaluate", name, config) / RESULT) or {}
        tasks = {
            task: {key: round(scores[key], 4) for key in ("f1", "f1_low", "f1_high")}
            for task, scores in found["tasks"].items()
        }
        return {
            "tasks": tasks,
            "parse_failure_rate": found["parse_failure_rate"],
            "tokens_per_row": found["tokens_per_row"],
        }

    def job(self, kind: str, name: str, config: SftConfig | GrpoConfig | EvaluateConfig) -> Path:
        run = self.work / name
        run_job(f"training.jobs.{kind}", run, asdict(config))
        return run

    def steps(self, kind: str, trial: Path, share: float) -> int:
        """How many steps at the trial's pace fit into this share of the minutes."""
        lines = read_lines(trial / METRICS)
        a_step = (lines[-1]["seconds"] - lines[0]["seconds"]) / max(1, lines[-1]["step"] - lines[0]["step"])
        return (
            max(TRIAL_STEPS[kind], int(60 * self.plan.minutes * share / a_step))
            if self.plan.minutes
            else TRIAL_STEPS[kind]
        )

    def speed(self, run: Path, *, trained_rows: int) -> Figures:
        """Tokens per second from the first to the last logged step, and MFU.

        `trained_rows` is the number of rows per step, for the mean sequence length.
        """
        lines = read_lines(run / METRICS)
        first, last = lines[0], lines[-1]
        seconds, tokens = last["seconds"] - first["seconds"], last["tokens"] - first["tokens"]
        steps = last["step"] - first["step"]
        length = max(1, round(tokens / max(1, steps * trained_rows)))
        flops = compute_flops_per_token(AutoConfig.from_pretrained(self.work / "base").text_config, length)
        peak = get_peak_flops(torch.cuda.get_device_name(), "bfloat16") if self.cuda else None
        return {
            "steps": last["step"],
            "seconds": round(seconds, 1),
            "tokens_per_s": round(tokens / max(seconds, 1e-6), 1),
            "mean_tokens": length,
            "mfu": round(flops * tokens / seconds / peak, 4) if peak else None,
        }


def measure(machine: Machine) -> Figures:
    began = time.time()
    found: Figures = {"device": torch.cuda.get_device_name() if machine.cuda else "cpu", **machine.rows()}
    plan = machine.plan
    trial = machine.sft("sft-trial", TRIAL_STEPS["sft"] if plan.minutes else 3)
    trained = machine.sft("sft", machine.steps("sft", trial, SFT_SHARE)) if plan.minutes else trial
    found["sft"] = machine.speed(trained, trained_rows=plan.batch_size)
    found["before"] = machine.evaluate("evaluate-sft", trained / MODEL)
    trial = machine.grpo("grpo-trial", trained / MODEL, TRIAL_STEPS["grpo"] if plan.minutes else 2)
    raised = machine.grpo("grpo", trained / MODEL, machine.steps("grpo", trial, GRPO_SHARE)) if plan.minutes else trial
    lines = read_lines(raised / METRICS)
    found["grpo"] = machine.speed(raised, trained_rows=plan.prompts * plan.group_size) | {
        "rollouts_per_s": lines[-1]["rollouts_per_s"],
        "first_reward": lines[0]["reward"],
        "last_reward": lines[-1]["reward"],
    }
    found["after"] = machine.evaluate("evaluate-grpo", raised / MODEL)
    return found | {"minutes": round((time.time() - began) / 60, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and evaluate a mid-size guard on one GPU.")
    parser.add_argument("--work", type=Path, required=True, help="kept, so that a stopped run goes on")
    parser.add_argument(
        "--data", type=Path, help="the data folder (manifest.json, train_permissive); without it, generated rows only"
    )
    parser.add_argument("--size", choices=sorted(SIZES), default=FULL.size)
    parser.add_argument("--minutes", type=float, default=FULL.minutes)
    parser.add_argument("--toy", action="store_true", help="a few rows and steps of a tiny guard, on any machine")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    plan = TOY if arguments.toy else replace(FULL, size=arguments.size, minutes=arguments.minutes)
    print(json.dumps(measure(Machine(arguments.work.resolve(), plan, arguments.data))))


if __name__ == "__main__":
    main()
