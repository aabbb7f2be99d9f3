"""Run directories for jobs on a tiny checkpoint: mixed text, image and video rows that a few steps can learn."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Verdict
from tests.guard.tiny_checkpoint import COMPLETION, Family, build_checkpoint, image_sample, text_sample, video_sample
from tests.made_once import made_once
from training.contract import CONFIG, METRICS, MODEL, EvaluateConfig, SftConfig, read_json, write_json
from training.jobs import sft
from training.learning.rows import Row
from training.starter import build

LEARNS_QUICKLY = {
    "batch_size": 8,
    "learning_rate": 1e-2,
    "freeze_vision": False,
    "threads": 1,
    "log_every": 1,
    "save_every": 1000,
}


def mixed_rows(media_root: Path, count: int, *, side: int = 64) -> list[Row]:
    """Images are harmful, text and video are not, so that only a guard that sees tells them apart."""
    kinds = [
        (text_sample(1), "unharmful"),
        (image_sample(media_root, side=side), "harmful"),
        (video_sample(media_root, side=side), "unharmful"),
        (text_sample(3), "unharmful"),
    ]
    rows = []
    for number in range(count):
        sample, label = kinds[number % len(kinds)]
        completion = COMPLETION.format(topic="bake bread", label=label)
        if sample.response is not None:
            completion = completion.replace("Response: None", f"Response: {label}")
        rows.append(
            Row(
                replace(sample, id=f"row-{number}"),
                Verdict(
                    prompt=Harmfulness(label), response=Harmfulness(label) if sample.response is not None else None
                ),
                completion,
                source="made-up",
            )
        )
    return rows


def write_rows(path: Path, rows: list[Row], media_root: Path) -> Path:
    path.write_text("".join(json.dumps(row.as_json(media_root)) + "\n" for row in rows))
    return path


def sft_run(
    folder: Path, *, rows: int = 16, family: Family = "qwen3_vl", base: Path | None = None, **config: Any
) -> Path:
    """A run directory that `training.jobs.sft` can start on."""
    folder.mkdir(parents=True)
    side = 64 if family == "qwen3_vl" else 56
    dataset = write_rows(folder / "rows.jsonl", mixed_rows(folder / "media", rows, side=side), folder / "media")
    checkpoint = base or build_checkpoint(folder / "base", family)
    write_json(
        folder / CONFIG,
        asdict(
            SftConfig(
                base_model=str(checkpoint),
                dataset=str(dataset),
                media_root=str(folder / "media"),
                **(LEARNS_QUICKLY | config),
            )
        ),
    )
    return folder


def evaluate_run(folder: Path, model: Path, *, rows: int = 12, **config: Any) -> Path:
    folder.mkdir(parents=True)
    dataset = write_rows(folder / "rows.jsonl", mixed_rows(folder / "media", rows), folder / "media")
    write_json(
        folder / CONFIG,
        asdict(
            EvaluateConfig(
                model=str(model),
                dataset=str(dataset),
                media_root=str(folder / "media"),
                split="",
                batch_size=4,
                max_new_tokens=64,
                bootstrap_samples=100,
                threads=1,
                **config,
            )
        ),
    )
    return folder


def run_here(job: Callable[[Path], int], run_dir: Path) -> int:
    """Run a job in this process, and give SIGTERM back to pytest afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        return job(run_dir)
    finally:
        signal.signal(signal.SIGTERM, before)


def trained_guard(factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has learned the mixed rows: certain when greedy, and at temperature 1 sometimes wrong."""

    def train(folder: Path) -> None:
        run_dir = sft_run(factory.mktemp("trained") / "run", rows=32, max_steps=90)
        assert run_here(sft.main, run_dir) == 0
        shutil.copytree(run_dir / MODEL, folder)

    return made_once(factory, "trained", train)


@contextmanager
def jobs_here() -> Iterator[None]:
    """The jobs of a study in this process: the same programs without the seconds of their start, which the tests of
    runs, of the demo and of the starter's build go through.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(build, "run_program", lambda module, run_dir: run_here(import_module(module).main, run_dir))
        yield


def metrics(run_dir: Path) -> list[dict[str, Any]]:
    path = run_dir / METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def result(run_dir: Path) -> dict[str, Any]:
    value = read_json(run_dir / "result.json")
    assert isinstance(value, dict)
    return value
