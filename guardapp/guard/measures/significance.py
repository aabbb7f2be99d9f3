"""Significance of the difference between two guards on the same rows.

McNemar's test, and the interval of a paired difference for non-inferiority.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

# Discordant rows. Beyond this, the chi² approximation agrees and is much cheaper.
EXACT_UP_TO = 1_000


class NotPairedCounts(ValueError):
    """Paired counts must not be negative, and the discordant rows cannot be more than all rows."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two-sided test of whether both guards are right equally often.

    `statistic` is the corrected chi², or None if the test is exact.
    """

    only_first: int
    only_second: int
    p_value: float
    statistic: float | None

    @property
    def exact(self) -> bool:
        return self.statistic is None


@dataclass(frozen=True, slots=True)
class PairedShare:
    """Share of rows right for the second guard minus the first's, with a two-sided interval. From -1 to 1."""

    difference: float
    low: float
    high: float
    rows: int


def mcnemar_test(only_first: int, only_second: int) -> McNemar:
    """McNemar's test: exact binomial up to EXACT_UP_TO discordant rows, beyond that chi².

    The chi² form has one degree of freedom and Edwards' continuity correction. Source: McNemar 1947, Edwards 1948.
    Raises NotPairedCounts.
    """
    _check(only_first, only_second, only_first + only_second)
    if only_first + only_second <= EXACT_UP_TO:
        return McNemar(only_first, only_second, mcnemar_exact(only_first, only_second), None)
    statistic = mcnemar_chi2(only_first, only_second)
    return McNemar(only_first, only_second, chi2_tail(statistic), statistic)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided binomial p-value of the discordant rows (only one guard is right); 1.0 without discordant rows."""
    n = only_first + only_second
    term, tail = 1, 1
    for i in range(min(only_first, only_second)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, float(2 * tail / (1 << n)))


def mcnemar_chi2(only_first: int, only_second: int) -> float:
    """(|b - c| - 1)² / (b + c); 0.0 without discordant rows, or if the counts differ by less than the correction."""
    discordant = only_first + only_second
    return max(abs(only_first - only_second) - 1, 0) ** 2 / discordant if discordant else 0.0


def chi2_tail(statistic: float) -> float:
    """P(chi² with one degree of freedom > statistic)."""
    return math.erfc(math.sqrt(statistic / 2))


def paired_share(only_first: int, only_second: int, rows: int, *, confidence: float = 0.95) -> PairedShare:
    """Interval of a paired difference of shares: the Wald interval after adding 0.5 to each of the four cells.

    The additions keep the interval valid with few or no discordant rows. Source: Agresti and Min 2005. Raises
    NotPairedCounts.
    """
    _check(only_first, only_second, rows)
    first, second, n = only_first + 0.5, only_second + 0.5, rows + 2
    centre = (second - first) / n
    spread = math.sqrt((first + second) - (second - first) ** 2 / n) / n * NormalDist().inv_cdf((1 + confidence) / 2)
    observed = (only_second - only_first) / rows if rows else 0.0
    return PairedShare(observed, max(centre - spread, -1.0), min(centre + spread, 1.0), rows)


def rows_to_show(margin: float, *, confidence: float = 0.95) -> int:
    """The minimum number of rows needed to show that a share is not lower by more than `margin`.

    It assumes the best case, two guards that agree on every row.
    """
    if not 0 < margin <= 1:
        raise NotPairedCounts(f"The margin must be above 0 and at most 1, not {margin}.")
    # solves paired_share(0, 0, rows).low >= -margin
    return max(1, math.ceil(NormalDist().inv_cdf((1 + confidence) / 2) / margin - 2))


def _check(only_first: int, only_second: int, rows: int) -> None:
    if min(only_first, only_second) < 0 or only_first + only_second > rows:
        raise NotPairedCounts(NotPairedCounts.__doc__)
