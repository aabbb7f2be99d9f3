"""Inter-rater agreement corrected for chance.

Labels may be any hashable values. A coefficient is 1 for perfect agreement and 0 for chance.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence


class RatingsNotPaired(ValueError):
    """Cohen's kappa compares two people on the same items: their lists of labels differ in length."""


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two people on the same items in the same order.

    None if undefined: no items, or both people used only one and the same label. Source: Cohen 1960. Raises
    RatingsNotPaired.
    """
    if len(first) != len(second):
        raise RatingsNotPaired(RatingsNotPaired.__doc__)
    n = len(first)
    if n == 0:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    counts, others = Counter(first), Counter(second)
    by_chance = sum(counts[label] * others[label] for label in counts) / n**2
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Nominal alpha. A unit holds all labels of one item; units with fewer than two labels are ignored.

    None if undefined: nothing to pair, or only one label. Source: Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability".
    """
    totals: Counter[Hashable] = Counter()
    disagreement = 0.0
    for unit in units:
        m = len(unit)
        if m < 2:
            continue
        counts = Counter(unit)
        totals += counts
        disagreement += (m * m - sum(count * count for count in counts.values())) / (m - 1)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    return None if expected == 0 else 1 - (n - 1) * disagreement / expected
