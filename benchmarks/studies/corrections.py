"""Gain of a guard from 0, 100, 300 and 1,000 corrected items, picked by disagreement or at random.

    python -m benchmarks.studies.corrections --data DATA --work runs/corrections --out docs/studies [--model GUARD]
                                             [--seeds 17 18 19]
    python -m benchmarks.studies.corrections … --shared                      # only the shared parts: greedy answers,
                                                                             rollouts, targets
    python -m benchmarks.studies.corrections … --arm random-100 --seed 17    # a single run
    python -m benchmarks.studies.corrections … --report                      # only the table, from existing results

It is measured on rows that nobody reviewed. Each arm and seed is one fine-tuning with the product's recipe and one
evaluation, in its own folder under --work; finished parts are not repeated, and a killed run resumes. The reviewer is
simulated by the benchmark's gold labels: it accepts an item that the guard gets right and flips one that it gets wrong.
Picking by disagreement uses the guard's own rollouts and no labels. Writes corrections.json and corrections.md.
"""

import argparse
import logging
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmarks.studies.corrections_report import Counts, Run, report
from benchmarks.studies.corrections_rows import Sizes, as_rows, parts, pick, read_cases
from benchmarks.studies.corrections_targets import Line, Writer, chosen_rows, disagreement, write_lines, write_targets
from benchmarks.studies.learning_report import Answers
from training.contract import CHECKPOINTS, MINED, MODEL, PREDICTIONS, RESULT, EvaluateConfig, MineConfig
from training.learning.json_lines import read_lines
from training.learning.rows import Row, read_rows
from training.recipes import DEFAULT, config_for
from training.starter.build import run_job

log = logging.getLogger("benchmarks.studies.corrections")
STARTER = Path(__file__).resolve().parents[2] / "guardapp" / "starter"
# of the rollouts and targets, which all runs share
SHARED_SEED = 17
START = "start"


class NothingToTrainOn(Exception):
    """The guard wrote no usable reasoning for any of the picked items."""


@dataclass(frozen=True, slots=True)
class Arm:
    """`count` items, picked one way."""

    count: int
    by_disagreement: bool

    @property
    def name(self) -> str:
        return f"{'disagreement' if self.by_disagreement else 'random'}-{self.count}"


@dataclass(frozen=True, slots=True)
class Scale:
    """The amount of everything.

    `max_steps` applies to each run, whatever its number of items; -1 uses the recipe's epochs.
    """

    sizes: Sizes
    counts: tuple[int, ...]
    rollouts: int
    max_new_tokens: int
    max_steps: int

    @property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(Arm(count, by_disagreement) for count in self.counts for by_disagreement in (False, True))


FULL = Scale(
    Sizes(pool=1100, related=200, unrelated=200), counts=(100, 300, 1000), rollouts=4, max_new_tokens=64, max_steps=80
)
TOY = Scale(Sizes(pool=12, related=4, unrelated=4), counts=(4, 8), rollouts=2, max_new_tokens=16, max_steps=2)


class Study:
    """The folder of a study: rows, the guard's completions, targets, runs."""

    def __init__(self, work: Path, model: str, scale: Scale) -> None:
        self.work = work
        self.model = model
        self.scale = scale
        self.dataset = work / "rows.jsonl"
        self.media_root = work / "media"  # empty: all rows are text

    def prepare(self, data: Path) -> None:
        """Write rows.jsonl, the same for all arms and seeds. Raises NotEnoughRows."""
        self.media_root.mkdir(parents=True, exist_ok=True)
        if not self.dataset.exists():
            write_lines(self.dataset, as_rows(parts(read_cases(data), self.scale.sizes)), self.media_root)

    def share(self) -> None:
        """Compute the starting guard's greedy answers and rollouts, and a target for each pool row.

        Raises JobFailed.
        """
        run_job("training.jobs.evaluate", self.work / START, self._evaluation(self.model, split=""))
        run_job(
            "training.jobs.mine",
            self.work / "mine",
            asdict(
                MineConfig(
                    self.model,
                    str(self.dataset),
                    str(self.media_root),
                    version=START,
                    rollouts=self.scale.rollouts,
                    max_new_tokens=self.scale.max_new_tokens,
                    seed=SHARED_SEED,
                    threads=1,
                )
            ),
        )
        log.info("targets")
        write_targets(
            self.work / "targets.jsonl",
            list(self.pool.values()),
            self.greedy,
            self.mined,
            Writer(self.model, self.scale.max_new_tokens, SHARED_SEED),
        )

    def run(self, arm: Arm, seed: int) -> None:
        """Train and evaluate one arm with one seed, resuming if needed. Raises JobFailed or NothingToTrainOn."""
        folder = self.folder(arm, seed)
        folder.mkdir(parents=True, exist_ok=True)
        if not write_lines(
            folder / "rows.jsonl", chosen_rows(self.pool, self.picked(arm, seed), self.targets), self.media_root
        ):
            raise NothingToTrainOn(NothingToTrainOn.__doc__)
        overrides = {"seed": seed, "threads": 1, "max_steps": self.scale.max_steps}
        places = {"base_model": self.model, "dataset": str(folder / "rows.jsonl"), "media_root": str(self.media_root)}
        run_job(
            "training.jobs.sft",
            folder / "train",
            asdict(config_for(DEFAULT, "sft", places=places, overrides=overrides)),
        )
        run_job(
            "training.jobs.evaluate",
            folder / "evaluate",
            self._evaluation(str(folder / "train" / MODEL), split="holdout"),
        )
        shutil.rmtree(folder / "train" / CHECKPOINTS, ignore_errors=True)

    def picked(self, arm: Arm, seed: int) -> list[str]:
        doubts = {key: disagreement(self.greedy[key], self.mined[key]) for key in self.pool}
        return pick(doubts, arm.count, by_disagreement=arm.by_disagreement, seed=seed)

    def folder(self, arm: Arm, seed: int) -> Path:
        return self.work / f"{arm.name}-{seed}"

    def found(self, arm: Arm, seed: int) -> Run | None:
        """A run's answers on the untouched rows; None if it has not finished."""
        evaluation = self.folder(arm, seed) / "evaluate"
        if not (evaluation / RESULT).exists():
            return None
        picked = [self.targets[key] for key in self.picked(arm, seed)]
        counts = Counts(
            picked=len(picked),
            flipped=sum(line["flipped"] for line in picked),
            trained=sum(bool(line["completion"]) for line in picked),
        )
        return Run(counts, Answers(seed, {line["id"]: line for line in read_lines(evaluation / PREDICTIONS)}))

    def start(self) -> Run | None:
        """The starting guard's answers. They are greedy, so that one run stands for all seeds."""
        if not (self.work / START / RESULT).exists():
            return None
        untouched = {key: line for key, line in self.greedy.items() if key not in self.pool}
        return Run(Counts(0, 0, 0), Answers(SHARED_SEED, untouched))

    @cached_property
    def pool(self) -> dict[str, Row]:
        return {row.sample.id: row for row in read_rows(self.dataset, self.media_root, split="train")}

    @cached_property
    def greedy(self) -> dict[str, Line]:
        return {line["id"]: line for line in read_lines(self.work / START / PREDICTIONS)}

    @cached_property
    def mined(self) -> dict[str, Line]:
        return {line["id"]: line for line in read_lines(self.work / "mine" / MINED)}

    @cached_property
    def targets(self) -> dict[str, Line]:
        return {line["id"]: line for line in read_lines(self.work / "targets.jsonl")}

    def _evaluation(self, model: str, *, split: str) -> dict[str, object]:
        return asdict(
            EvaluateConfig(
                model,
                str(self.dataset),
                str(self.media_root),
                split=split,
                batch_size=64,
                max_new_tokens=self.scale.max_new_tokens,
                bootstrap_samples=100,
                seed=SHARED_SEED,
                threads=1,
            )
        )


def main() -> None:
    arguments = _parser().parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    scale = TOY if arguments.toy else FULL
    if arguments.steps is not None:
        scale = replace(scale, max_steps=arguments.steps)
    study = Study(arguments.work.resolve(), str(arguments.model.resolve()), scale)
    study.prepare(arguments.data)
    if not arguments.report:
        study.share()
        for arm in scale.arms if not arguments.shared else ():
            for seed in (
                ([arguments.seed] if arguments.seed is not None else arguments.seeds)
                if arguments.arm in (None, arm.name)
                else ()
            ):
                log.info("%s, seed %d", arm.name, seed)
                study.run(arm, seed)
    found = {
        (arm.count, arm.by_disagreement): [
            run for seed in arguments.seeds if (run := study.found(arm, seed)) is not None
        ]
        for arm in scale.arms
    }
    command = (
        f"python -m benchmarks.studies.corrections --data DATA --model {arguments.model.name} "
        f"--seeds {' '.join(map(str, arguments.seeds))}{' --toy' if arguments.toy else ''}"
        f"{'' if arguments.steps is None else f' --steps {arguments.steps}'}"
    )
    report(arguments.out, study.start(), found, seeds=len(arguments.seeds), command=command, setting=asdict(scale))


def _parser() -> argparse.ArgumentParser:
    names = sorted({arm.name for scale in (FULL, TOY) for arm in scale.arms})
    parser = argparse.ArgumentParser(description="What corrections are worth, picked by disagreement or at random.")
    parser.add_argument("--data", type=Path, required=True, help="data folder with benchmarks_open/hatecheck.jsonl.gz")
    parser.add_argument(
        "--model", type=Path, default=STARTER, help="folder of the guard to correct; the shipped starter by default"
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for corrections.json and corrections.md")
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    parser.add_argument("--arm", choices=names)
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument(
        "--steps", type=int, help="of each run; -1: the recipe's epochs, longer. A --work of its own for each value"
    )
    parser.add_argument(
        "--shared", action="store_true", help="only what all runs need; before runs are started side by side"
    )
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--toy", action="store_true", help="a few rows and steps, which show nothing")
    return parser


if __name__ == "__main__":
    main()
