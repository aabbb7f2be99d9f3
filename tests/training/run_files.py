"""What a job leaves in its run directory, written by a test in the contract's shapes."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training.contract import METRICS, MINED, PROGRESS, ROLLOUTS


def grpo_line(step: int, total: int = 100, **fields: Any) -> dict[str, Any]:
    """One line of a GRPO run that learns."""
    part = step / total
    return {
        "step": step,
        "epoch": round(part, 3),
        "loss": 0.02 * (1 - part),
        "lr": 1e-4 * (1 - part),
        "grad_norm": 0.8,
        "reward": 0.4 + 0.4 * part,
        "reward_std": 0.4 - 0.2 * part,
        "reward_format": 0.95,
        "reward_accuracy": 0.45 + 0.4 * part,
        "reward_length": -0.05,
        "pass_rate": 0.4 + 0.4 * part,
        "parse_failure_rate": 0.05,
        "completion_tokens": 90 - 10 * part,
        "completion_tokens_max": 200,
        "entropy": 0.6 - 0.2 * part,
        "clip_low": 0.2,
        "clip_high": 0.2,
        "clip_fraction": 0.01,
        "zero_advantage_groups": 0.3,
        "saturated_right": 0.2 + 0.1 * part,
        "saturated_wrong": 0.1,
        "advantage_max_share": 0.4,
        "tokens": 5000 * step,
        "tokens_per_s": 900.0,
        "rollouts_per_s": 9.0,
        "seconds": 6.0 * step,
        **fields,
    }


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_grpo(run_dir: Path, steps: int, total: int = 100, **fields: Any) -> None:
    """metrics.jsonl, progress.json and some rollouts of a GRPO run that has reached `steps`."""
    write_lines(run_dir / METRICS, (grpo_line(step, total, **fields) for step in range(1, steps + 1)))
    (run_dir / PROGRESS).write_text(
        json.dumps({"stage": "training", "done": steps, "total": total, "eta_s": 6.0 * (total - steps)})
    )
    write_lines(
        run_dir / ROLLOUTS,
        (rollout(step, row, place) for step in range(10, steps + 1, 10) for row in range(10) for place in range(4)),
    )


def rollout(step: int, row: int, place: int) -> dict[str, Any]:
    right = (step + row + place) % 4 != 0
    label = "harmful" if right else "unharmful"
    return {
        "step": step,
        "id": f"row-{row}",
        "prompt": f"How does one open lock number {row}?",
        "tokens": 60 + place,
        "completion": f"<think>\nStep 1: Somebody asks about a lock.\n</think>\n<result>\nRequest: {label}\n</result>",
        "reward": 0.95 if right else 0.0,
        "parts": {"format": 1.0, "accuracy": float(right), "length": -0.05 * right},
        "advantage": 0.577 if right else -1.73,
    }


def write_mined(run_dir: Path, rows: int) -> None:
    """mined.jsonl and metrics.jsonl of a mining."""
    write_lines(
        run_dir / METRICS,
        (
            {
                "step": n,
                "rows": 8 * n,
                "pass_rate": 0.6,
                "parse_failure_rate": 0.02,
                "completion_tokens": 80.0,
                "rollouts_per_s": 9.5,
                "reused": n,
            }
            for n in range(1, rows // 8 + 2)
        ),
    )
    write_lines(
        run_dir / MINED,
        (
            {
                "id": f"row-{n}",
                "version": "starter",
                "pass_rate": 0.5,
                "kept": n % 2 == 0,
                "rollouts": [
                    {
                        "completion": f"Rollout {place} of row {n}",
                        "parsed": place != 3,
                        "prompt": "harmful",
                        "response": None,
                        "right": place < 2,
                        "tokens": 40,
                        "reused": place == 0,
                    }
                    for place in range(4)
                ],
            }
            for n in range(rows)
        ),
    )
