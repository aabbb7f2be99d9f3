"""Build the starter guard: `python -m training.starter.build --data DATA_DIR --out guardapp/starter --seed 17`.

Generates the rows, trains the tokenizer, creates an untrained Qwen3-VL, trains it stage by stage with the project's SFT
job, scores it with the project's evaluation job and against TF-IDF + logistic regression on the same rows, and writes
weights, processor, results.json and MODEL_CARD.md. If interrupted, the same command continues.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch

from guardapp.guard.how_sure import SHIPPED
from guardapp.guard.prompting import INSTRUCTION
from training.contract import MODEL, PREDICTIONS, RESULT, EvaluateConfig, SftConfig, read_json, write_json
from training.starter.architecture import build_model, build_processor, parameters, train_tokenizer
from training.starter.dataset import benchmark_rows, held_out_rows, train_rows, write_rows
from training.starter.plan import (
    HELD_OUT,
    MAX_NEW_TOKENS,
    SMOKE_HELD_OUT,
    SMOKE_STAGES,
    STAGES,
    TOKENIZER_STAGES,
    HeldOut,
    Stage,
)
from training.starter.report import model_card, results

log = logging.getLogger("training.starter.build")
LARGEST_WEIGHTS = 16 * 1024**2  # bytes
ROWS_OF = "the rows that its build held out"
SERVING_ROLLOUTS, ROLLOUT_ROWS = 4, 2_000  # the first as GUARDAPP_ROLLOUTS by default


class JobFailed(RuntimeError):
    """A training or evaluation job of the build failed; see its log.txt."""


class WeightsTooLarge(RuntimeError):
    """The weights are larger than the limit for the project's repository."""


def build(data: Path | None, out: Path, work: Path, *, seed: int, stages: tuple[Stage, ...], held_out: HeldOut) -> None:
    """Run all steps, skipping those whose files exist. `data=None` uses generated rows only, without benchmarks."""
    media_root = work / "media"
    media_root.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        if not (work / f"{stage.name}.jsonl").exists():
            log.info("rows of stage %s", stage.name)
            earlier = [row for path in first_stages(stages, work) for row in read_jsonl(path)] if stage.mixed else ()
            write_rows(train_rows(data, stage, seed, media_root, earlier), work / f"{stage.name}.jsonl", media_root)
    hold_out(data, work, media_root, seed, held_out)
    base = work / "base"
    if not (base / "config.json").exists():
        prepare_base(base, first_stages(stages, work), seed)
    for stage in stages:
        base = train(stage, base, work, media_root, seed)
    evaluation = evaluate(base, work / f"evaluation-{stages[-1].name}", work, media_root, seed, held_out.batch_size)
    install(base, out)
    write_json(out / SHIPPED, calibration(evaluation))
    found = results(
        data=data,
        train=[row for stage in stages for row in read_jsonl(work / f"{stage.name}.jsonl")],
        held_out=read_jsonl(work / "holdout.jsonl"),
        predictions=read_jsonl(evaluation / PREDICTIONS),
        seed=seed,
        runs={stage.name: run_figures(work / stage.name) for stage in stages},
        plan={stage.name: asdict(stage) for stage in stages},
        weights_bytes=(out / "model.safetensors").stat().st_size,
        parameters=(read_json(work / "base" / "parameters.json") or {})["parameters"],
    )
    write_json(out / "results.json", found)
    (out / "MODEL_CARD.md").write_text(model_card(found), encoding="utf-8")


def hold_out(data: Path | None, work: Path, media_root: Path, seed: int, sizes: HeldOut) -> Path:
    """Write the held-out rows, with the benchmarks if there is data, and return their file."""
    path = work / "holdout.jsonl"
    if not path.exists():
        rows = held_out_rows(sizes, seed, media_root)
        write_rows([*rows, *(benchmark_rows(data) if data else [])], path, media_root)
    return path


def calibration(evaluation: Path) -> dict[str, Any]:
    """What the starter ships for its probabilities of harm, from its evaluation."""
    result = read_json(evaluation / RESULT) or {}
    return {"rows_of": ROWS_OF, "rollouts": result["rollouts"], "fits": result["calibration"]}


def first_stages(stages: tuple[Stage, ...], work: Path) -> list[Path]:
    """The rows on which the tokenizer is trained and from which mixed rows are assembled."""
    return [work / f"{stage.name}.jsonl" for stage in stages[:TOKENIZER_STAGES]]


def run_figures(run: Path) -> dict[str, Any]:
    """The run's reported figures, without the base model's path, which is meaningless on another machine."""
    return {name: value for name, value in (read_json(run / RESULT) or {}).items() if name != "base_model"}


def prepare_base(folder: Path, row_files: list[Path], seed: int) -> None:
    """Train the tokenizer on the texts of these rows, and create untrained weights."""
    texts = [
        text
        for path in row_files
        for row in read_jsonl(path)
        for text in (row["prompt"], row["response"] or "", row["completion"])
    ]
    tokenizer = train_tokenizer([*texts, INSTRUCTION])
    model = build_model(tokenizer, seed)
    unfinished = folder.with_name("base.unfinished")
    model.save_pretrained(unfinished)
    build_processor(tokenizer).save_pretrained(unfinished)
    write_json(unfinished / "parameters.json", {"parameters": parameters(model)})
    unfinished.rename(folder)


def train(stage: Stage, base: Path, work: Path, media_root: Path, seed: int) -> Path:
    """Run the SFT job of one stage and return its model folder."""
    run = work / stage.name
    config = SftConfig(
        base_model=str(base),
        dataset=str(work / f"{stage.name}.jsonl"),
        media_root=str(media_root),
        epochs=1.0,
        learning_rate=stage.learning_rate,
        warmup_ratio=0.03,
        weight_decay=0.02,
        batch_size=stage.batch_size,
        cutoff_tokens=stage.cutoff_tokens,
        freeze_vision=False,
        bf16=multiplies_bf16(),
        seed=seed,
        save_every=400,
        log_every=25,
        threads=1,
        loss_on_prompt=stage.loss_on_prompt,
        adam_beta2=0.98,
        save_bf16=True,
        pool_batches=stage.pool_batches,
    )
    run_job("training.jobs.sft", run, asdict(config))
    return run / MODEL


def multiplies_bf16() -> bool:
    """Whether the CPU supports bfloat16 instructions.

    Without them, bfloat16 is emulated at a tenth of the speed of float32 (measured on one AVX2 core: 6 instead of 80
    GFLOP/s).
    """
    return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)


def evaluate(model: Path, run: Path, work: Path, media_root: Path, seed: int, batch_size: int) -> Path:
    """Run the evaluation job on held-out rows and benchmarks, and return its run directory."""
    config = EvaluateConfig(
        model=str(model),
        dataset=str(work / "holdout.jsonl"),
        media_root=str(media_root),
        batch_size=batch_size,
        max_new_tokens=MAX_NEW_TOKENS,
        bootstrap_samples=100,
        seed=seed,
        threads=1,
        rollouts=SERVING_ROLLOUTS,
        rollout_rows=ROLLOUT_ROWS,
    )
    run_job("training.jobs.evaluate", run, asdict(config))
    return run


def run_job(module: str, run: Path, config: dict[str, Any]) -> None:
    """Run a job like the product does: in its own process, through a run directory. Raises JobFailed."""
    if (run / RESULT).exists():
        return
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "config.json", config)
    began = time.time()
    if code := run_program(module, run):
        raise JobFailed(f"{module} ended with {code}: see {run.name}/log.txt")
    log.info("%s %s: %.0f s", module, run.name, time.time() - began)


def run_program(module: str, run: Path) -> int:
    """Run `python -m module run` with its output in run/log.txt, and return the exit code."""
    with (run / "log.txt").open("a", encoding="utf-8") as output:
        return subprocess.run(  # noqa: S603
            [sys.executable, "-m", module, str(run)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            check=False,
        ).returncode


def install(model: Path, out: Path) -> None:
    """Copy the finished model over the shipped one. Raises WeightsTooLarge."""
    if (model / "model.safetensors").stat().st_size > LARGEST_WEIGHTS:
        raise WeightsTooLarge(WeightsTooLarge.__doc__)
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(model.iterdir()):
        if file.is_file():
            shutil.copy(file, out / file.name)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the starter guard.")
    parser.add_argument("--data", type=Path, help="the data folder (manifest.json, train_permissive, benchmarks_open)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/starter"), help="intermediate files; kept, so a build resumes"
    )
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--smoke", action="store_true", help="a few rows only: checks the steps, learns nothing")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    build(
        arguments.data,
        arguments.out,
        arguments.work.resolve(),
        seed=arguments.seed,
        stages=SMOKE_STAGES if arguments.smoke else STAGES,
        held_out=SMOKE_HELD_OUT if arguments.smoke else HELD_OUT,
    )


if __name__ == "__main__":
    main()
