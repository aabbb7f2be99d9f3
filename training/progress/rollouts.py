"""Read rollouts.jsonl of a GRPO run and mined.jsonl of a mining, one page of groups at a time.

Both files can grow to gigabytes, so they are streamed, and lines that are not shown are read only at their start.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GROUPS_A_PAGE = 8
STEP = re.compile(rb'"step": ?(\d+)')
# The step is within this many bytes of the start of a line.
START = 40


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    tokens: int
    right: bool
    parsed: bool = True
    reused: bool = False
    reward: float | None = None
    parts: tuple[tuple[str, float], ...] = ()
    advantage: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The completions of one row."""

    row_id: str
    prompt: str
    completions: tuple[Completion, ...]
    kept: bool | None = None  # for a mining: whether its rule kept the row

    @property
    def right(self) -> int:
        return sum(completion.right for completion in self.completions)


@dataclass(frozen=True, slots=True)
class Rollouts:
    """A page of groups. `steps` are those in the file, empty for a mining."""

    groups: tuple[Group, ...] = ()
    steps: tuple[int, ...] = ()
    step: int | None = None
    page: int = 1
    more: bool = False

    @property
    def before(self) -> int | None:
        return max((step for step in self.steps if self.step is not None and step < self.step), default=None)

    @property
    def after(self) -> int | None:
        return min((step for step in self.steps if self.step is not None and step > self.step), default=None)


def sampled(path: Path, step: int | None, page: int) -> Rollouts:
    """The groups of one step of rollouts.jsonl; the newest if the step is None or missing."""
    steps = tuple(sorted({found for found, _ in _lines_with_step(path)}))
    if not steps:
        return Rollouts()
    chosen = step if step in steps else steps[-1]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for found, content in _lines_with_step(path):
        line = _line(content) if found == chosen else None
        if line is not None:
            groups.setdefault((str(line.get("id", "")), str(line.get("prompt", ""))), []).append(line)
    shown = list(groups.items())[(page - 1) * GROUPS_A_PAGE : page * GROUPS_A_PAGE]
    return Rollouts(
        tuple(Group(row_id, prompt, tuple(_sampled(line) for line in lines)) for (row_id, prompt), lines in shown),
        steps,
        chosen,
        page,
        more=len(groups) > page * GROUPS_A_PAGE,
    )


def mined(path: Path, page: int) -> Rollouts:
    """The rows of mined.jsonl in file order."""
    shown, first = [], (page - 1) * GROUPS_A_PAGE
    more = False
    for number, content in enumerate(_contents(path)):
        if number >= first + GROUPS_A_PAGE:
            more = True
            break
        line = _line(content) if number >= first else None
        if line is not None:
            completions = tuple(_mined(rollout) for rollout in line.get("rollouts", []))
            shown.append(Group(str(line.get("id", "")), "", completions, kept=bool(line.get("kept"))))
    return Rollouts(tuple(shown), page=page, more=more)


def _sampled(line: Mapping[str, Any]) -> Completion:
    parts = {name: float(value) for name, value in (line.get("parts") or {}).items() if isinstance(value, int | float)}
    return Completion(
        text=str(line.get("completion", "")),
        tokens=int(line.get("tokens", 0)),
        right=parts.get("accuracy", 0.0) >= 1,
        parsed=parts.get("format", 1.0) > 0,
        reward=line.get("reward"),
        parts=tuple(parts.items()),
        advantage=line.get("advantage"),
    )


def _mined(rollout: Mapping[str, Any]) -> Completion:
    return Completion(
        text=str(rollout.get("completion", "")),
        tokens=int(rollout.get("tokens", 0)),
        right=bool(rollout.get("right")),
        parsed=bool(rollout.get("parsed", True)),
        reused=bool(rollout.get("reused")),
    )


def _lines_with_step(path: Path) -> Iterator[tuple[int, bytes]]:
    for content in _contents(path):
        found = STEP.search(content, 0, START)
        if found:
            yield int(found[1]), content


def _contents(path: Path) -> Iterator[bytes]:
    """The complete lines of a file that a job may still be writing."""
    try:
        with path.open("rb") as file:
            yield from (content for content in file if content.endswith(b"\n"))
    except FileNotFoundError:
        return


def _line(content: bytes) -> dict[str, Any] | None:
    """Parse a line; None for the partial line of a killed job."""
    try:
        line = json.loads(content)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
