"""The simulated reviewer's results: gold labels, and the reasoning that the product would train on.

The reviewer knows only the benchmark's gold label. As in the product (annotation.review.gold), a correct greedy answer
is accepted with its reasoning. Otherwise the label is flipped without writing anything, and the target is the first
stored rollout that reached gold, or else one attempt of `write_reasoning`. No reasoning is written by rule.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)

from annotation.predictions.forced_reasoning import Target, Wanted, write_reasoning
from annotation.status import TargetSource
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.parsing import parse_steps, render
from guardapp.guard.verdict import Judgement
from training.learning.json_lines import append_line, read_lines
from training.learning.rows import Row

ROWS_A_BATCH = 16
COMPLETIONS_A_BATCH = 128
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Writer:
    """The guard that writes missing reasoning."""

    model: str
    max_new_tokens: int
    seed: int


def disagreement(greedy: Line, mined: Line) -> float:
    """The product's disagreement, from a line of predictions.jsonl and one of mined.jsonl.

    It is the share of rollouts that differ from the greedy answer, 0 to 1; one that does not parse differs.
    """
    said = (greedy["parsed"], greedy["predicted"]["prompt"])
    return sum((rollout["parsed"], rollout["prompt"]) != said for rollout in mined["rollouts"]) / len(mined["rollouts"])


def flipped(greedy: Line) -> bool:
    """Whether the reviewer changes the label."""
    return bool(greedy["predicted"]["prompt"] != greedy["gold"]["prompt"])


def write_targets(
    path: Path, rows: Sequence[Row], greedy: Mapping[str, Line], mined: Mapping[str, Line], writer: Writer
) -> None:
    """Append a line for each row missing from `path`: {"id", "flipped", "source", "completion"}.

    The completion is empty if the source is "unavailable".
    """
    present = {line["id"] for line in read_lines(path)}
    waiting: list[Row] = []
    for row in rows:
        target = at_once(row, greedy[row.sample.id], mined[row.sample.id])
        if target is None:
            waiting.append(row)
        elif row.sample.id not in present:
            append_line(path, _line(row, greedy[row.sample.id], target))
    if all(row.sample.id in present for row in waiting):
        return
    for row, target in _written(waiting, present, greedy, writer):
        if row.sample.id not in present:
            append_line(path, _line(row, greedy[row.sample.id], target))


def at_once(row: Row, greedy: Line, mined: Line) -> Target | None:
    """The accepted reasoning, or that of the first rollout that reached gold; None if neither has steps."""
    own = [(rollout["completion"], TargetSource.OWN_ROLLOUT) for rollout in mined["rollouts"] if rollout["right"]]
    for completion, source in own if flipped(greedy) else [(greedy["completion"], TargetSource.ACCEPTED), *own]:
        if steps := parse_steps(completion):
            return Target(steps, source)
    return None


def chosen_rows(rows: Mapping[str, Row], ids: Iterable[str], targets: Mapping[str, Line]) -> Iterator[Row]:
    """Train rows for the picked ids that have a target."""
    for key in ids:
        if targets[key]["completion"]:
            yield replace(rows[key], completion=targets[key]["completion"], target_source=targets[key]["source"])


def write_lines(path: Path, rows: Iterable[Row], media_root: Path) -> int:
    """Atomically write a dataset for the jobs, and return its number of rows."""
    lines = [json.dumps(row.as_json(media_root), ensure_ascii=False) + "\n" for row in rows]
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text("".join(lines), encoding="utf-8")
    unfinished.replace(path)
    return len(lines)


def _written(
    rows: Sequence[Row], present: set[str], greedy: Mapping[str, Line], writer: Writer
) -> Iterator[tuple[Row, Target | None]]:
    """Write the reasoning batch by batch, in the same batches at every start."""
    engine = HfEngine(writer.model, threads=1, batch_size=COMPLETIONS_A_BATCH)
    for start in range(0, len(rows), ROWS_A_BATCH):
        batch = rows[start : start + ROWS_A_BATCH]
        if any(row.sample.id not in present for row in batch):
            wanted = [
                Wanted(row.sample, str(row.verdict.prompt), None, seen_steps=_steps(greedy[row.sample.id]))
                for row in batch
            ]
            yield from zip(
                batch,
                write_reasoning(
                    engine=engine, rows=wanted, max_new_tokens=writer.max_new_tokens, seed=writer.seed + start
                ),
                strict=True,
            )


def _steps(greedy: Line) -> tuple[str, ...]:
    return parse_steps(greedy["completion"])


def _line(row: Row, greedy: Line, target: Target | None) -> dict[str, Any]:
    completion = render(Judgement(target.steps, row.verdict), response_present=False) if target else ""
    return {
        "id": row.sample.id,
        "flipped": flipped(greedy),
        "completion": completion,
        "source": (target.source if target else TargetSource.UNAVAILABLE).value,
    }
