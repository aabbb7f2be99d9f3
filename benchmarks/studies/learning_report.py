"""Answers of the study's arms → figures with intervals, a table, and conclusions that they support.

Intervals are 95% percentile bootstraps over rows and seeds. The rows are the same for all arms, so that differences are
paired.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from guardapp.guard.taxonomy import Task
from training.learning.scoring import FIELD_BY_TASK, outcome

Table = npt.NDArray[np.float64]
Line = Mapping[str, Any]  # of predictions.jsonl
RESAMPLES = 4000
TASKS = {"f1_prompt": Task.PROMPT, "f1_response": Task.RESPONSE}
CAVEATS = (
    "The guard has a few million parameters and the rows are generated from a lexicon, so this shows what the "
    "methods do to such a guard, "
    "not how the papers' results would replicate at 2B to 7B.",
    "Completions are short (see the table): the papers' length terms, which act on hundreds of tokens, move the "
    "reward little here.",
    "The learning rate, steps and batch are ours, chosen to fit a core, and the same for all arms; no arm was tuned.",
    "Intervals over three seeds are wide where seeds differ, and several arms make a false alarm at 95% "
    "likely somewhere.",
)


@dataclass(frozen=True, slots=True)
class Answers:
    """The lines of one evaluation's predictions.jsonl, by row."""

    seed: int
    lines: Mapping[str, Line]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean over seeds, with its 95% interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> list[float]:
        return [round(self.value, 4), round(self.low, 4), round(self.high, 4)]


def report(
    out: Path,
    found: Mapping[str, Sequence[Answers]],
    *,
    baseline: str,
    says: Mapping[str, str],
    seeds: int,
    command: str,
    setting: Mapping[str, Any],
) -> dict[str, Any]:
    """Write learning.json and learning.md; arms without a finished job are listed as missing."""
    figures = estimates(found, baseline)
    missing = {name: seeds - len(answers) for name, answers in found.items() if len(answers) < seeds}
    value = {
        "command": command,
        "setting": dict(setting),
        "missing": missing,
        "arms": {
            name: {measure: estimate.as_json() for measure, estimate in of_arm.items()}
            for name, of_arm in figures.items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "learning.json").write_text(json.dumps(value, indent=1) + "\n")
    (out / "learning.md").write_text(as_markdown(figures, says, baseline, missing, command))
    return value


def estimates(
    found: Mapping[str, Sequence[Answers]], baseline: str, *, resamples: int = RESAMPLES
) -> dict[str, dict[str, Estimate]]:
    """Estimates by arm and measure: F1 of both tasks, tokens, share of parse failures.

    `…_gain` is the difference from the baseline.
    """
    done = {name: answers for name, answers in found.items() if answers}
    if not done:
        return {}
    rows = sorted(next(iter(done.values()))[0].lines)
    random = np.random.default_rng(0)
    weights = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples).astype(np.float64)
    drawn: dict[str, dict[str, Table]] = {}
    for name, answers in done.items():
        picks = random.integers(len(answers), size=(resamples, len(answers)))
        drawn[name] = {
            measure: np.concatenate([[by_seed.mean()], np.take_along_axis(resampled, picks, axis=1).mean(axis=1)])
            for measure, (by_seed, resampled) in measures(answers, rows, weights).items()
        }
    result: dict[str, dict[str, Estimate]] = {}
    for name, of_arm in drawn.items():
        result[name] = {measure: _estimate(values) for measure, values in of_arm.items()}
        if name != baseline and baseline in drawn:
            result[name] |= {
                f"{measure}_gain": _estimate(values - drawn[baseline][measure]) for measure, values in of_arm.items()
            }
    return result


def measures(answers: Sequence[Answers], rows: Sequence[str], weights: Table) -> dict[str, tuple[Table, Table]]:
    """Each measure by seed, shape (seeds,), and over resampled rows, shape (resamples, seeds).

    `weights` has shape (resamples, rows).
    """
    lines = [[one.lines[row] for row in rows] for one in answers]
    drawn = np.concatenate([np.ones((1, len(rows))), weights])
    found = {
        "tokens": drawn @ _column(lines, lambda line: line["tokens"]) / len(rows),
        "parse_failures": drawn @ _column(lines, lambda line: not line["parsed"]) / len(rows),
    }
    for measure, task in TASKS.items():
        right, wrong = (drawn @ _column(lines, partial(cell, task=task)) for cell in (_hit, _error))
        found[measure] = np.divide(2 * right, 2 * right + wrong, out=np.zeros_like(right), where=2 * right + wrong > 0)
    return {measure: (values[0], values[1:]) for measure, values in found.items()}


def _column(lines: Sequence[Sequence[Line]], value: Callable[[Line], float]) -> Table:
    """Collect values into shape (rows, seeds)."""
    return np.array([[float(value(line)) for line in of_seed] for of_seed in lines]).T


def _hit(line: Line, *, task: Task) -> bool:
    """Whether this is a true positive under strict scoring."""
    return (
        bool(line["gold"][FIELD_BY_TASK[task]]) and (one := outcome(line, task)).gold_positive and one.called_positive
    )


def _error(line: Line, *, task: Task) -> bool:
    """Whether this is a false positive or false negative; a completion that does not parse is one of them."""
    return bool(line["gold"][FIELD_BY_TASK[task]]) and (one := outcome(line, task)).gold_positive != one.called_positive


def _estimate(values: Table) -> Estimate:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Estimate(float(values[0]), float(low), float(high))


def as_markdown(
    figures: Mapping[str, Mapping[str, Estimate]],
    says: Mapping[str, str],
    baseline: str,
    missing: Mapping[str, int],
    command: str,
) -> str:
    lines = ["# What GRPO adds on a small guard", "", f"Command: `{command}`.", ""]
    if missing:
        lines += [
            "Not finished, so the table is not the whole study: "
            + ", ".join(f"{name} ({count} {'seed' if count == 1 else 'seeds'})" for name, count in missing.items())
            + ".",
            "",
        ]
    lines += [
        "Held-out topics; mean over seeds with 95% interval; gains are over the starting guard on the same rows.",
        "",
        "| arm | F1 prompt | gain | F1 response | gain | tokens | parse failures |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, of_arm in figures.items():
        cells = [
            _cell(of_arm.get(measure)) for measure in ("f1_prompt", "f1_prompt_gain", "f1_response", "f1_response_gain")
        ]
        lines.append(
            f"| `{name}` | {' | '.join(cells)} | {_cell(of_arm['tokens'], 1)} | {_cell(of_arm['parse_failures'])} |"
        )
    lines += ["", *(f"* `{name}`: {text}." for name, text in says.items()), "", "## What it shows", ""]
    lines += [
        f"* {sentence}" for name, of_arm in figures.items() if name != baseline for sentence in verdicts(name, of_arm)
    ]
    lines += ["", "## What it does not show", "", *(f"* {caveat}" for caveat in CAVEATS), ""]
    return "\n".join(lines)


def verdicts(name: str, of_arm: Mapping[str, Estimate]) -> list[str]:
    """One sentence per task; a difference is named only if its interval excludes 0."""
    sentences = []
    for measure, task in TASKS.items():
        gain = of_arm.get(f"{measure}_gain")
        if gain is None:
            continue
        told = "higher" if gain.low > 0 else "lower" if gain.high < 0 else "not shown to differ"
        sentences.append(f"`{name}`: F1 of the {FIELD_BY_TASK[task]} task {told} ({_cell(gain)}).")
    return sentences


def _cell(estimate: Estimate | None, digits: int = 3) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
