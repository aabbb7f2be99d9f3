"""How sure a guard was of its labels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelScores:
    """P(harmful), 0 to 1; None where the completion has no such label, or where it stands in a forced prefix."""

    prompt: float | None
    response: float | None
