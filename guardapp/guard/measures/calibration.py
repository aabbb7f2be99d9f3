"""Whether a guard that says 70% is right seven times in ten: the reliability curve beside
metrics.expected_calibration_error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guardapp.guard.measures.scores import ScoresNotProbabilities

BINS = 10  # what a picture shows; the error is computed with metrics' own finer bins


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose P(positive) lies in [low, high); the last bin holds 1.0 too. Shares from 0 to 1."""

    low: float
    high: float
    n: int
    mean_score: float
    positives: float  # share of the rows that are positive

    @property
    def gap(self) -> float:
        """Above 0: surer of harm than it should be."""
        return self.mean_score - self.positives


def reliability(scores: Sequence[float], positive: Sequence[bool], *, bins: int = BINS) -> tuple[Bin, ...]:
    """The curve in bins of equal width, empty ones left out. Raises ScoresNotProbabilities."""
    p, y = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.float64)
    if len(p) != len(y) or not np.all((p >= 0) & (p <= 1)):
        raise ScoresNotProbabilities(ScoresNotProbabilities.__doc__)
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    n = np.bincount(index, minlength=bins)
    means, shares = (np.bincount(index, weights=values, minlength=bins) / np.maximum(n, 1) for values in (p, y))
    return tuple(
        Bin(number / bins, (number + 1) / bins, int(n[number]), float(means[number]), float(shares[number]))
        for number in range(bins)
        if n[number]
    )
