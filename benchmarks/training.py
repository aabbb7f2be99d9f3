"""Cost of training relative to stock TRL and plain `generate`, for the starter guard on one thread.

    python -m benchmarks.training [--model guardapp/starter] [--rounds 3]

Also `make bench-training`. Ours and stock alternate for `--rounds` rounds on the same generated text rows with the same
settings, and medians are compared. Seconds are CPU time: all runs use one thread, so that on an idle core it equals
wall time, and on a busy one it is still comparable.

* `sft_vs_trl`, `grpo_vs_trl`: optimizer steps per second of the project's jobs, including their reports, relative to
  trl's own trainers, from the end of the first step to that of the last. Text only: with images or video, stock TRL
  crashes or is wrong.
* `reward_rows_per_s`: completions parsed, graded against gold labels and rewarded (omni-v2) per second.
* `mining_vs_generate`: rollouts per second of the mining job relative to plain batched `generate` of the same rows,
  also sorted by length; both include loading the guard.

The last line is one JSON object.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch

from benchmarks import training_stock as stock
from guardapp.guard.engines.hf.encoding import estimated_tokens
from guardapp.guard.rl.rewards import REWARDS, grade
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Sample, Verdict
from training.contract import CONFIG, GrpoConfig, MineConfig, SftConfig, write_json
from training.jobs import grpo, mine, sft
from training.learning.rows import Row
from training.starter.rows_text import generate

SEED = 23
ROLLOUTS = 4  # per mined row
Result = dict[str, Any]


def text_rows(count: int) -> list[Row]:
    """Generated rows like the starter's, most of them with a response."""
    return [
        Row(
            Sample(value["id"], value["prompt"], value["response"]),
            Verdict(
                Harmfulness(value["prompt_label"]),
                Harmfulness(value["response_label"]) if value["response_label"] else None,
            ),
            value["completion"],
        )
        for value in generate(SEED, count, held_out_topics=False)
    ]


class Bench:
    """Run each job on the same rows in new run directories."""

    def __init__(self, folder: Path, model: str, rows: Sequence[Row]) -> None:
        self.folder = folder
        self.model = model
        self.rows = rows
        self.dataset = folder / "rows.jsonl"
        self.dataset.write_text("".join(json.dumps(row.as_json(folder)) + "\n" for row in rows))
        self.runs = 0

    def run(self, job: Callable[[Path], int], config: SftConfig | GrpoConfig | MineConfig) -> float:
        """CPU seconds of the whole job."""
        self.runs += 1
        run_dir = self.folder / f"run-{self.runs}"
        run_dir.mkdir()
        write_json(run_dir / CONFIG, asdict(config))
        began = time.process_time()
        assert job(run_dir) == 0
        return time.process_time() - began

    def steps(self, job: Callable[[Path], int], config: SftConfig | GrpoConfig) -> float:
        """Optimizer steps per second."""
        self.run(job, config)
        return stock.steps_a_second()

    def sft(self, steps: int) -> tuple[Callable[[], float], Callable[[], float]]:
        config = SftConfig(
            self.model,
            str(self.dataset),
            str(self.folder),
            max_steps=steps,
            batch_size=16,
            learning_rate=1e-4,
            threads=1,
            save_every=10_000,
            log_every=10_000,
            seed=SEED,
        )
        return lambda: self.steps(sft.main, config), lambda: stock.sft(config, self.rows, self.folder)

    def grpo(self, steps: int) -> tuple[Callable[[], float], Callable[[], float]]:
        config = GrpoConfig(
            self.model,
            str(self.dataset),
            str(self.folder),
            reward="omni-v2",
            max_steps=steps,
            group_size=8,
            prompts_per_batch=8,
            update_batch=64,
            micro_batch=8,
            max_prompt_tokens=1024,
            max_new_tokens=100,
            learning_rate=1e-6,
            threads=1,
            save_every=10_000,
            log_every=10_000,
            seed=SEED,
        )
        return lambda: self.steps(grpo.main, config), lambda: stock.grpo(config, self.rows, self.folder)

    def mine(self) -> tuple[Callable[[], float], Callable[[], float]]:
        config = MineConfig(
            self.model,
            str(self.dataset),
            str(self.folder),
            rollouts=ROLLOUTS,
            max_new_tokens=100,
            batch_size=8,
            threads=1,
            seed=SEED,
        )
        ranked = sorted(self.rows, key=lambda row: estimated_tokens(row.sample), reverse=True)
        return lambda: ROLLOUTS * len(ranked) / self.run(mine.main, config), lambda: stock.generate(config, ranked)

    def reward(self) -> float:
        """Rows per second for right, wrong, verbose and broken completions."""
        cases = []
        for row in self.rows:
            wrong = row.completion.replace("Request: harmful", "Request: unharmful")
            wordy = row.completion.replace("\n</think>", " So." * 80 + "\n</think>")
            cases += [(row, text) for text in (row.completion, wrong, row.completion[:-20], wordy)]
        began = time.process_time()
        for row, text in cases:
            graded = grade(
                text,
                row.verdict,
                response_present=row.sample.response is not None,
                tokens=len(text) // 4,
                max_tokens=1024,
            )
            REWARDS["omni-v2"](graded)
        return len(cases) / (time.process_time() - began)


def in_turns(name: str, rounds: int, ours: Callable[[], float], theirs: Callable[[], float]) -> Result:
    """Both sides' medians and their ratio; they alternate in going first."""
    found: dict[str, list[float]] = {"ours": [], "stock": []}
    for number in range(rounds):
        sides = [("ours", ours), ("stock", theirs)]
        for side, measure in sides if number % 2 == 0 else reversed(sides):
            found[side].append(measure())
        print(
            f"{name}, round {number + 1}: ours {found['ours'][-1]:.3f}/s, stock {found['stock'][-1]:.3f}/s", flush=True
        )
    ours_s, stock_s = statistics.median(found["ours"]), statistics.median(found["stock"])
    ratios = [one / other for one, other in zip(found["ours"], found["stock"], strict=True)]
    return {
        name: round(ours_s / stock_s, 3),
        f"{name}_range": [round(min(ratios), 3), round(max(ratios), 3)],
        f"{name}_per_s": [round(ours_s, 3), round(stock_s, 3)],
    }


def measure(model: str, rounds: int, *, rows: int, sft_steps: int, grpo_steps: int) -> Result:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), model, text_rows(rows))
        found: Result = {"model": model, "rows": rows, "rounds": rounds}
        found |= in_turns("sft_vs_trl", rounds, *bench.sft(sft_steps))
        found |= in_turns("grpo_vs_trl", rounds, *bench.grpo(grpo_steps))
        found |= in_turns("mining_vs_generate", rounds, *bench.mine())
        found["reward_rows_per_s"] = round(statistics.median(bench.reward() for _ in range(max(rounds, 3))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Training beside stock TRL.")
    parser.add_argument("--model", default="guardapp/starter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--sft-steps", type=int, default=12)
    parser.add_argument("--grpo-steps", type=int, default=5)
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    print(
        json.dumps(
            measure(
                arguments.model,
                arguments.rounds,
                rows=arguments.rows,
                sft_steps=arguments.sft_steps,
                grpo_steps=arguments.grpo_steps,
            )
        )
    )


if __name__ == "__main__":
    main()
