"""What GRPO adds to supervised fine-tuning on a small guard, by arm, on topics without training rows.

    python -m benchmarks.studies.learning --model UNDER_TRAINED_GUARD --work runs/learning --out docs/studies
                                          [--seeds 17 18 19]
    python -m benchmarks.studies.learning … --arm vl --seed 17     # a single run
    python -m benchmarks.studies.learning … --report               # only the table, from existing results

Each arm and seed is one run of the project's own jobs (training, then evaluation) in its own folder under --work, about
two minutes on one core; finished parts are not repeated, and a killed run resumes. All arms start from the same guard,
see the same generated rows (training topics, text and images) and sample as many completions; the evaluation rows are
the starter's held-out topics. Writes learning.json and learning.md.

The guard must be under-trained: with a finished one, all completions of a group are right and nothing is left to learn.
"""

import argparse
import logging
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)

from benchmarks.studies.learning_report import Answers, report
from training.contract import MODEL, PREDICTIONS, EvaluateConfig, GrpoConfig, SftConfig
from training.learning.json_lines import read_lines
from training.starter.build import run_job
from training.starter.dataset import held_out_rows, train_rows, write_rows
from training.starter.plan import STAGES, HeldOut

log = logging.getLogger("benchmarks.studies.learning")
# of the study's rows, which the starter was not trained on
ROWS_SEED = 4017
# the starter's stage whose rows have full completions
QUOTING = 1
BASELINE = "sft"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training further.

    `reward` "" means no further training; "sft" continues supervised fine-tuning on the same rows.
    """

    name: str
    says: str
    reward: str = ""
    clip_high: float = 0.2
    clip_schedule: str = "constant"
    concat_share: float = 0.0


ARMS = (
    Arm(BASELINE, "the guard that all arms start from"),
    Arm("sft-more", "supervised fine-tuning goes on, on the rows that GRPO gets", "sft"),
    Arm("omni-v1", "error-driven exploration, clip 0.2 / 0.3", "omni-v1", clip_high=0.3),
    Arm(
        "omni-v1-no-exploration",
        "omni-v1 without its length term: format and accuracy alone",
        "omni-v2-released",
        clip_high=0.3,
    ),
    Arm("omni-v2", "concise correctness", "omni-v2"),
    Arm(
        "vl",
        "length-aware safety, dynamic clipping (product), 20% concatenations",
        "vl",
        clip_schedule="product",
        concat_share=0.2,
    ),
    Arm("vl-constant-clip", "vl without dynamic clipping", "vl", concat_share=0.2),
    Arm("vl-no-concatenation", "vl without concatenations", "vl", clip_schedule="product"),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of one job."""

    text: int
    image: int
    held_out: HeldOut
    prompts: int  # per rollout batch
    group_size: int
    # Two per rollout batch, so that the ratio leaves 1 and clipping can act.
    steps: int
    max_new_tokens: int
    # The papers' 1e-6 and 5e-6 suit guards with billions of parameters; this one was trained from scratch at 1e-3.
    learning_rate: float = 1e-4


FULL = Scale(
    text=96,
    image=24,
    held_out=HeldOut(text=240, image=60, video=0),
    prompts=8,
    group_size=8,
    steps=16,
    max_new_tokens=64,
)
TOY = Scale(
    text=6, image=2, held_out=HeldOut(text=4, image=2, video=0), prompts=2, group_size=2, steps=2, max_new_tokens=8
)


class Study:
    """The folder of a study: rows, jobs, answers."""

    def __init__(self, work: Path, model: str, scale: Scale) -> None:
        self.work = work
        self.model = model
        self.scale = scale
        self.media_root = work / "media"

    def prepare(self) -> None:
        """Write train.jsonl and holdout.jsonl, the same for all arms and seeds."""
        self.media_root.mkdir(parents=True, exist_ok=True)
        if (self.work / "holdout.jsonl").exists():
            return
        stage = replace(STAGES[QUOTING], text=self.scale.text, image=self.scale.image, video=0)
        write_rows(train_rows(None, stage, ROWS_SEED, self.media_root), self.work / "train.jsonl", self.media_root)
        unseen = [
            row
            for row in held_out_rows(self.scale.held_out, ROWS_SEED, self.media_root)
            if row.source.startswith("unseen")
        ]
        write_rows(unseen, self.work / "holdout.jsonl", self.media_root)

    def run(self, arm: Arm, seed: int) -> None:
        """Train and evaluate one arm with one seed, resuming if needed. Raises JobFailed."""
        folder = self.folder(arm, seed)
        model = self.model
        if arm.reward:
            run_job(
                f"training.jobs.{'sft' if arm.reward == 'sft' else 'grpo'}",
                folder / "train",
                asdict(self.config(arm, seed)),
            )
            model = str(folder / "train" / MODEL)
        run_job(
            "training.jobs.evaluate",
            folder / "evaluate",
            asdict(
                EvaluateConfig(
                    model=model,
                    dataset=str(self.work / "holdout.jsonl"),
                    media_root=str(self.media_root),
                    batch_size=64,
                    max_new_tokens=self.scale.max_new_tokens,
                    bootstrap_samples=100,
                    seed=seed,
                    threads=1,
                )
            ),
        )

    def config(self, arm: Arm, seed: int) -> SftConfig | GrpoConfig:
        dataset, scale = str(self.work / "train.jsonl"), self.scale
        completions = scale.prompts * scale.group_size
        # as many optimizer steps, and as many rows as GRPO has prompts
        if arm.reward == "sft":
            return SftConfig(
                self.model,
                dataset,
                str(self.media_root),
                max_steps=scale.steps,
                learning_rate=scale.learning_rate,
                batch_size=scale.prompts,
                lr_scheduler="constant",
                seed=seed,
                save_every=12,
                threads=1,
            )
        return GrpoConfig(
            self.model,
            dataset,
            str(self.media_root),
            reward=arm.reward,
            group_size=scale.group_size,
            prompts_per_batch=scale.prompts,
            update_batch=completions,
            micro_batch=min(16, completions),
            num_iterations=2,
            max_steps=scale.steps,
            learning_rate=scale.learning_rate,
            lr_scheduler="constant",
            max_new_tokens=scale.max_new_tokens,
            clip_high=arm.clip_high,
            clip_schedule=arm.clip_schedule,
            concat_share=arm.concat_share,
            concat_balance=True,
            seed=seed,
            save_every=12,
            threads=1,
        )

    def folder(self, arm: Arm, seed: int) -> Path:
        """The folder of a run. The baseline is greedy and untrained, so that one seed stands for all."""
        return self.work / (arm.name if not arm.reward else f"{arm.name}-{seed}")

    def answers(self, arm: Arm, seed: int) -> Answers | None:
        """The arm's answers on the held-out rows; None if its job has not finished."""
        evaluation = self.folder(arm, seed) / "evaluate"
        if not (evaluation / "result.json").exists():
            return None
        return Answers(seed, {line["id"]: line for line in read_lines(evaluation / PREDICTIONS)})


def main() -> None:
    parser = argparse.ArgumentParser(description="What GRPO adds to supervised fine-tuning on a small guard.")
    parser.add_argument("--model", required=True, help="an under-trained guard: the folder of its checkpoint")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for learning.json and learning.md")
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    parser.add_argument("--arm", choices=[arm.name for arm in ARMS])
    parser.add_argument("--seed", type=int, help="with --arm: this seed alone")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--toy", action="store_true", help="a few rows and steps, which show nothing")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    study = Study(arguments.work.resolve(), str(Path(arguments.model).resolve()), TOY if arguments.toy else FULL)
    study.prepare()
    seeds = [arguments.seed] if arguments.seed is not None else arguments.seeds
    for arm in ARMS:
        for seed in seeds if not arguments.report and arguments.arm in (None, arm.name) else ():
            log.info("%s, seed %d", arm.name, seed)
            study.run(arm, seed)
    found = {
        arm.name: [one for seed in arguments.seeds if (one := study.answers(arm, seed)) is not None] for arm in ARMS
    }
    command = (
        f"python -m benchmarks.studies.learning --model {Path(arguments.model).name} --seeds "
        f"{' '.join(map(str, arguments.seeds))}"
    )
    report(
        arguments.out,
        found,
        baseline=BASELINE,
        says={arm.name: arm.says for arm in ARMS},
        seeds=len(arguments.seeds),
        command=command,
        setting=asdict(study.scale),
    )


if __name__ == "__main__":
    main()
