"""The reliability curve of a guard: mean predicted probability against the observed share, by bin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guardapp.guard.measures.scores import ScoresNotProbabilities

# The resolution of the chart; `expected_calibration_error` uses its own, finer bins.
BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose P(positive) is in [low, high); the last bin includes 1.0. Shares are from 0 to 1."""

    low: float
    high: float
    n: int
    mean_score: float
    positives: float  # share of positive rows

    @property
    def gap(self) -> float:
        """Positive if the guard overestimates harm."""
        return self.mean_score - self.positives


def reliability(scores: Sequence[float], positive: Sequence[bool], *, bins: int = BINS) -> tuple[Bin, ...]:
    """Return the non-empty bins of equal width, in order. Raises ScoresNotProbabilities."""
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
