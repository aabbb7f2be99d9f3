"""The guard's confidence in its labels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelScores:
    """P(harmful), 0 to 1. None if the completion has no such label, or the label is part of a forced prefix."""

    prompt: float | None
    response: float | None
