"""Bootstrap intervals of F1 and of paired differences, by resampling rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guardapp.guard.measures.scores import Outcome, score
from guardapp.guard.measures.significance import mcnemar_exact


class NotPaired(ValueError):
    """A paired comparison needs the same rows in the same order: tasks, gold labels or lengths differ."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its percentile bootstrap interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """F1 of the second minus F1 of the first, with its interval.

    `not_better` is the share of resamples in which the difference is at most 0.
    """

    difference: float
    low: float
    high: float
    not_better: float


def bootstrap_f1(
    outcomes: Iterable[Outcome], *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Percentile bootstrap over rows.

    F1 depends only on the four counts, so that resampling rows amounts to a multinomial draw of counts.
    """
    scores = score(outcomes)
    counts = np.array([scores.tp, scores.fp, scores.fn, scores.tn])
    drawn = _resample(counts, resamples, seed)
    low, high = _percentiles(_f1(drawn[:, 0], drawn[:, 1], drawn[:, 2]), confidence)
    return Interval(scores.f1, low, high)


def paired_bootstrap(
    first: Sequence[Outcome],
    second: Sequence[Outcome],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Test whether F1 differs between two guards on the same rows; rows are resampled with both predictions.

    Raises NotPaired.
    """
    _check_paired(first, second)
    # axes: gold positive, first called positive, second called positive
    counts = np.zeros((2, 2, 2), dtype=np.int64)
    for a, b in zip(first, second, strict=True):
        counts[int(a.gold_positive), int(a.called_positive), int(b.called_positive)] += 1
    drawn = _resample(counts.ravel(), resamples, seed).reshape(-1, 2, 2, 2)
    of_first, of_second = drawn.sum(axis=3), drawn.sum(axis=2)
    differences = _f1_of(of_second) - _f1_of(of_first)
    low, high = _percentiles(differences, confidence)
    return PairedDifference(score(second).f1 - score(first).f1, low, high, float(np.mean(differences <= 0)))


def mcnemar(first: Sequence[Outcome], second: Sequence[Outcome]) -> float:
    """Exact two-sided p-value of the hypothesis that both guards are right equally often. Raises NotPaired."""
    _check_paired(first, second)
    right = [(a.predicted == a.gold, b.predicted == b.gold) for a, b in zip(first, second, strict=True)]
    return mcnemar_exact(right.count((True, False)), right.count((False, True)))


def _check_paired(first: Sequence[Outcome], second: Sequence[Outcome]) -> None:
    if [(row.task, row.gold) for row in first] != [(row.task, row.gold) for row in second]:
        raise NotPaired(NotPaired.__doc__)


def _resample(counts: npt.NDArray[np.int64], resamples: int, seed: int) -> npt.NDArray[np.int64]:
    n = int(counts.sum())
    if n == 0:
        return np.zeros((resamples, len(counts)), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)


def _f1_of(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """F1 by resample. `cells` has shape (resamples, gold positive, called positive)."""
    return _f1(cells[:, 1, 1], cells[:, 0, 1], cells[:, 1, 0])


def _f1(tp: npt.NDArray[np.int64], fp: npt.NDArray[np.int64], fn: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return shares


def _percentiles(values: npt.NDArray[np.float64], confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
