"""Measures of predicted probabilities: calibration, its curve by bin, and average precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# The resolution of the chart; `expected_calibration_error` uses its own, finer bins.
BINS = 10


class ScoresNotProbabilities(ValueError):
    """Scores must be between 0 and 1, one for each gold label."""


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
    p, y = _checked(scores, positive)
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    n = np.bincount(index, minlength=bins)
    means, shares = (np.bincount(index, weights=values, minlength=bins) / np.maximum(n, 1) for values in (p, y))
    return tuple(
        Bin(number / bins, (number + 1) / bins, int(n[number]), float(means[number]), float(shares[number]))
        for number in range(bins)
        if n[number]
    )


def expected_calibration_error(scores: Sequence[float], positive: Sequence[bool], *, bins: int = 15) -> float:
    """Mean over rows of |mean P(positive) - share of positives| in bins of equal width; 0.0 without rows.

    Source: Naeini et al. 2015, binary form. Raises ScoresNotProbabilities.
    """
    p, y = _checked(scores, positive)
    if not len(p):
        return 0.0
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(index, weights=p - y, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


def average_precision(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Area under the precision-recall curve as a step function, without interpolation; ties share a threshold.

    Returns 0.0 without positives. Raises ScoresNotProbabilities.
    """
    p, y = _checked(scores, positive)
    if not y.sum():
        return 0.0
    order = np.argsort(-p, kind="stable")
    p, y = p[order], y[order]
    last = np.append(np.flatnonzero(np.diff(p)), len(p) - 1)
    hits = np.cumsum(y)[last]
    return float(np.sum(np.diff(hits, prepend=0.0) * hits / (last + 1)) / y.sum())


def _checked(
    scores: Sequence[float], positive: Sequence[bool]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    p, y = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.float64)
    if len(p) != len(y) or not np.all((p >= 0) & (p <= 1)):
        raise ScoresNotProbabilities(ScoresNotProbabilities.__doc__)
    return p, y
