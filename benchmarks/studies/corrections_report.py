"""Answers of the corrections study → figures with intervals, tables, and two conclusions that they support.

Intervals are 95% percentile bootstraps over rows and seeds. The rows are the same for all arms, so that differences are
paired.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.studies.corrections_rows import RELATED, UNRELATED
from benchmarks.studies.learning_report import RESAMPLES, Answers, Estimate, estimates

# number of items, whether picked by disagreement
Way = tuple[int, bool]
BEFORE = "0"
PARTS = {
    "all": ((RELATED, UNRELATED), "all untouched rows"),
    RELATED: ((RELATED,), "untouched rows of the families that the pool is from"),
    UNRELATED: ((UNRELATED,), "untouched rows of other families"),
}
CAVEATS = (
    "The reviewer is simulated: it is the benchmark's gold label, never wrong, and writes no reasoning. "
    "People err and write.",
    "Items are reviewed items: one that the guard gets right is accepted and trained on as well, as in the "
    "product. How many were flipped "
    "stands in the tables: the two ways of picking need not find as many.",
    "Rows, rollouts and targets are drawn once, so the intervals hold what picking, training and rows vary, and "
    "not what those would.",
    "The guard has a few million parameters and the rows are one test suite in English; a larger guard may "
    "gain otherwise.",
    "Where all runs have as many steps (max_steps of the setting), fewer items are seen more often; where they "
    "have the recipe's epochs "
    "(-1), more items are also more steps.",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of items: reviewed, with a changed label, and with a target to train on."""

    picked: int
    flipped: int
    trained: int


@dataclass(frozen=True, slots=True)
class Run:
    counts: Counts
    answers: Answers  # on the untouched rows


# by name of the arm; the measures of learning_report
Figures = dict[str, dict[str, Estimate]]


def report(
    out: Path,
    start: Run | None,
    found: Mapping[Way, Sequence[Run]],
    *,
    seeds: int,
    command: str,
    setting: Mapping[str, Any],
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Write corrections.json and corrections.md; arms without all of their runs are listed as missing."""
    done = {way: runs for way, runs in found.items() if runs}
    gains = {part: gains_over_start(start, done, sources, resamples) for part, (sources, _) in PARTS.items()}
    choices = {part: by_choice(done, sources, resamples) for part, (sources, _) in PARTS.items()}
    missing = ({BEFORE: 1} if start is None else {}) | {
        name(way): seeds - len(runs) for way, runs in found.items() if len(runs) < seeds
    }
    value = {
        "command": command,
        "setting": dict(setting),
        "missing": missing,
        "runs": {
            name(way): [{"seed": run.answers.seed, **asdict(run.counts)} for run in runs] for way, runs in done.items()
        },
        "rows": {part: len(_of(start.answers, sources).lines) if start else 0 for part, (sources, _) in PARTS.items()},
        "parts": {
            part: {
                arm: {
                    measure: estimate.as_json()
                    for measure, estimate in of_arm.items()
                    if not measure.startswith("f1_response")
                }
                for arm, of_arm in figures.items()
            }
            for part, figures in gains.items()
        },
        "disagreement_minus_random": {
            part: {str(count): estimate.as_json() for count, estimate in of_part.items()}
            for part, of_part in choices.items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "corrections.json").write_text(json.dumps(value, indent=1) + "\n")
    (out / "corrections.md").write_text(as_markdown(gains, choices, done, value))
    return value


def name(way: Way) -> str:
    count, by_disagreement = way
    return f"{'disagreement' if by_disagreement else 'random'}-{count}"


def gains_over_start(
    start: Run | None, done: Mapping[Way, Sequence[Run]], sources: Sequence[str], resamples: int
) -> Figures:
    """F1 of each arm, and its gain over the guard before any correction."""
    answers = {BEFORE: [_of(start.answers, sources)] if start else []}
    answers |= {name(way): [_of(run.answers, sources) for run in runs] for way, runs in done.items()}
    return estimates(answers, BEFORE, resamples=resamples)


def by_choice(done: Mapping[Way, Sequence[Run]], sources: Sequence[str], resamples: int) -> dict[int, Estimate]:
    """F1 of picking by disagreement minus F1 of picking at random, by the number of items."""
    found: dict[int, Estimate] = {}
    for count in sorted({count for count, _ in done}):
        if (count, False) in done and (count, True) in done:
            pair = {
                name((count, way)): [_of(run.answers, sources) for run in done[count, way]] for way in (False, True)
            }
            found[count] = estimates(pair, name((count, False)), resamples=resamples)[name((count, True))][
                "f1_prompt_gain"
            ]
    return found


def as_markdown(
    gains: Mapping[str, Figures],
    choices: Mapping[str, Mapping[int, Estimate]],
    done: Mapping[Way, Sequence[Run]],
    value: Mapping[str, Any],
) -> str:
    lines = ["# What corrections are worth", "", f"Command: `{value['command']}`.", ""]
    if value["missing"]:
        lines += [
            "Not finished, so the tables are not the whole study: "
            + ", ".join(f"{arm} ({count} {'run' if count == 1 else 'runs'})" for arm, count in value["missing"].items())
            + ".",
            "",
        ]
    lines += [
        "F1 of the prompt task on HateCheck rows that nobody reviewed, half of them harmful (calling all harmful "
        "gives 0.667); mean "
        "over seeds with 95% interval; gains are over the guard before any correction, on the same rows.",
        "",
    ]
    for part, (_, says) in PARTS.items():
        if gains[part]:
            lines += [
                f"## {says[0].upper()}{says[1:]} ({value['rows'][part]})",
                "",
                "| items | picked | flipped | trained on | F1 | gain | parse failures |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [_line(arm, of_arm, done) for arm, of_arm in gains[part].items()] + [""]
    shown = (what_items_do(gains, done), what_picking_does(choices))
    lines += ["## What it shows", "", *(f"* {sentence}" for sentence in shown if sentence)]
    return "\n".join([*lines, "", "## What it does not show", "", *(f"* {caveat}" for caveat in CAVEATS), ""])


def what_items_do(gains: Mapping[str, Figures], done: Mapping[Way, Sequence[Run]]) -> str:
    """One sentence on the largest number of items, for each way and part; "" if nothing can be compared."""
    most = max((count for count, _ in done), default=0)
    told = [
        f"{_told(of_arm['f1_prompt_gain'])} on {PARTS[part][1]} with `{name(way)}` ({_cell(of_arm['f1_prompt_gain'])})"
        for way in done
        if way[0] == most
        for part in (RELATED, UNRELATED)
        if "f1_prompt_gain" in (of_arm := gains[part].get(name(way), {}))
    ]
    return f"Against no correction, F1 after {most} items is {_listed(told)}." if told else ""


def what_picking_does(choices: Mapping[str, Mapping[int, Estimate]]) -> str:
    """One sentence on all untouched rows; "" if no number of items has both ways."""
    told = [f"{_told(estimate)} with {count} items ({_cell(estimate)})" for count, estimate in choices["all"].items()]
    return (
        f"Against picking at random, F1 on all untouched rows after picking by disagreement is {_listed(told)}."
        if told
        else ""
    )


def _told(difference: Estimate) -> str:
    """Name a difference only if its interval excludes 0."""
    return "higher" if difference.low > 0 else "lower" if difference.high < 0 else "not shown to differ"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _of(answers: Answers, sources: Sequence[str]) -> Answers:
    return Answers(answers.seed, {key: line for key, line in answers.lines.items() if line["source"] in sources})


def _line(arm: str, of_arm: Mapping[str, Estimate], done: Mapping[Way, Sequence[Run]]) -> str:
    cells = [_cell(of_arm.get(measure)) for measure in ("f1_prompt", "f1_prompt_gain", "parse_failures")]
    runs = next(((way, runs) for way, runs in done.items() if name(way) == arm), None)
    if runs is None:
        return f"| 0 | | | | {' | '.join(cells)} |"
    (count, by_disagreement), counts = runs[0], [run.counts for run in runs[1]]
    means = [f"{mean(values):.0f}" for values in ([one.flipped for one in counts], [one.trained for one in counts])]
    return (
        f"| {count} | {'by disagreement' if by_disagreement else 'at random'} | {' | '.join(means)} | "
        f"{' | '.join(cells)} |"
    )


def _cell(estimate: Estimate | None) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]" if estimate else ""
