"""Calibrate the shipped starter on the rows that its build holds out, without training it:
`python -m training.starter.calibrate --data DATA_DIR --out guardapp/starter --seed 17`.

Evaluates the weights in `--out` with the project's evaluation job and writes its calibration beside them. If
interrupted, the same command continues.
"""

import argparse
import logging
import sys
from pathlib import Path

from guardapp.guard.how_sure import SHIPPED
from training.contract import write_json
from training.starter.build import calibration, evaluate, hold_out
from training.starter.plan import HELD_OUT, SMOKE_HELD_OUT, HeldOut


def calibrate(data: Path | None, out: Path, work: Path, *, seed: int, held_out: HeldOut) -> None:
    media_root = work / "media"
    media_root.mkdir(parents=True, exist_ok=True)
    hold_out(data, work, media_root, seed, held_out)
    run = evaluate(out, work / "evaluation-calibration", work, media_root, seed, held_out.batch_size)
    write_json(out / SHIPPED, calibration(run))


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrate the starter guard.")
    parser.add_argument("--data", type=Path, help="the data folder (manifest.json, benchmarks_open)")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the weights")
    parser.add_argument("--work", type=Path, default=Path("runs/starter-calibration"), help="intermediate files; kept")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--smoke", action="store_true", help="a few rows only: checks the steps")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    calibrate(
        arguments.data,
        arguments.out,
        arguments.work.resolve(),
        seed=arguments.seed,
        held_out=SMOKE_HELD_OUT if arguments.smoke else HELD_OUT,
    )


if __name__ == "__main__":
    main()
