"""Inputs and results of the promotion gate."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_noop

from guardapp.guard.taxonomy import Task

FIELDS = {Task.PROMPT: "prompt", Task.RESPONSE: "response"}
WORDS = {Task.PROMPT: gettext_noop("Prompt harmfulness"), Task.RESPONSE: gettext_noop("Response harmfulness")}
ROWS = "rows"  # name of the check for enough rows


class State(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"  # not enough rows to decide


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of the checks; shares from 0 to 1. A cap never requires more of a candidate than of production."""

    alpha: float = 0.05  # McNemar: a p-value below this is significant
    f1_margin: float = 0.02  # tolerated decrease of F1; 0 requires proof of no decrease
    category_margin: float = 0.05  # tolerated decrease of a category's share of right rows
    false_positive_cap: float = 0.20
    parse_failure_cap: float = 0.02
    # tolerated share of wrong rows among corrected rows that production has right
    regression_cap: float = 0.02
    fewest_rows: int = 20  # with fewer rows, a check stays open
    open_blocks: bool = False  # whether an open check blocks as well


@dataclass(frozen=True, slots=True)
class Answer:
    """The labels that one version predicted for a row."""

    prompt: str | None
    response: str | None
    parsed: bool

    def right(self, gold: Mapping[str, str | None]) -> bool:
        """Whether every task with a gold label is right."""
        return all(getattr(self, field) == label for field, label in gold.items() if label is not None)


@dataclass(frozen=True, slots=True)
class PairedRow:
    """A row that both predicted. `production` is None for all rows if nothing is in production yet.

    `corrected`: gold contradicted an earlier prediction of it. `held_out=False`: used only to detect regressions.
    """

    id: str
    gold: Mapping[str, str | None]
    categories: tuple[str, ...]
    candidate: Answer
    production: Answer | None
    corrected: bool = False
    held_out: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    `needs` describes the requirement and `detail` the finding; `value` was measured, and `limit` is its bound.
    """

    name: str
    title: str
    state: State
    needs: str
    detail: str
    value: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class GateReport:
    """All checks of a candidate against production. `regressions`: ids of corrected rows that are wrong again."""

    checks: tuple[Check, ...]
    regressions: tuple[str, ...]
    rows: int
    thresholds: Thresholds

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state is State.FAILED)

    @property
    def open(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state is State.OPEN)

    @property
    def blocking(self) -> tuple[Check, ...]:
        return self.failed + (self.open if self.thresholds.open_blocks else ())

    @property
    def passed(self) -> bool:
        return not self.blocking

    @property
    def too_few_rows(self) -> bool:
        """Whether there are so few common rows that passing means little."""
        return any(check.name == ROWS for check in self.open)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed, "too_few_rows": self.too_few_rows}
