"""The clip range of GRPO over the steps of a run. Source: GuardReasoner-VL, dynamic clipping.

| schedule   | range at step s of s_total, s from 1                                      |
|------------|---------------------------------------------------------------------------|
| `constant` | eps                                                                       |
| `product`  | eps · PROD_{i=1..s} (s_total - i) / s_total, as in the paper               |
| `linear`   | eps · (s_total - s) / s_total                                             |

The product decays like exp(-s² / (2·s_total)), so that without a floor the last 70% of a long run changes nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class ClipNotUsable(ValueError):
    """A clip range must be above zero, its floor between zero and the range, and its schedule must exist."""


@dataclass(frozen=True, slots=True)
class ClipRange:
    """The probability ratio of new to old policy is clipped to [1 - low, 1 + high]."""

    low: float
    high: float


def _product(step: int, total: int) -> float:
    return math.prod((total - i) / total for i in range(1, step + 1))


def _linear(step: int, total: int) -> float:
    return (total - step) / total


def _constant(_step: int, _total: int) -> float:
    return 1.0


SCHEDULES: Mapping[str, Callable[[int, int], float]] = {"constant": _constant, "product": _product, "linear": _linear}


@dataclass(frozen=True, slots=True)
class ClipSchedule:
    """A range that starts near (low, high) and never falls below `floor`. Raises ClipNotUsable."""

    low: float = 0.2
    high: float = 0.2
    schedule: str = "constant"
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ClipNotUsable(f"clip_schedule={self.schedule!r} is not one of {', '.join(SCHEDULES)}.")
        for name in ("low", "high"):
            if getattr(self, name) <= 0:
                raise ClipNotUsable(f"clip_{name}={getattr(self, name)} is not above zero.")
        if not 0 <= self.floor <= min(self.low, self.high):
            raise ClipNotUsable(
                f"clip_floor={self.floor} is not from 0 to {min(self.low, self.high)}, the clip range itself."
            )

    def at(self, step: int, total: int) -> ClipRange:
        """The range at `step` of `total`. Steps start at 1; steps outside the run are clamped."""
        share = SCHEDULES[self.schedule](min(max(step, 1), total), total)
        return ClipRange(max(self.floor, self.low * share), max(self.floor, self.high * share))
