"""Tables worked out by hand, and what has to hold for every table."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardapp.guard.measures.calibration import ScoresNotProbabilities, expected_calibration_error, reliability
from guardapp.guard.measures.significance import (
    EXACT_UP_TO,
    NotPairedCounts,
    chi2_tail,
    mcnemar_chi2,
    mcnemar_exact,
    mcnemar_test,
    paired_share,
    rows_to_show,
)


@pytest.mark.parametrize(
    ("statistic", "p"), [(0.0, 1.0), (2.705543, 0.10), (3.841459, 0.05), (6.634897, 0.01), (10.827566, 0.001)]
)
def test_the_tail_of_chi_squared_is_that_of_the_tables(statistic: float, p: float) -> None:
    assert chi2_tail(statistic) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("b", "c", "statistic"),
    [(0, 0, 0.0), (1, 0, 0.0), (3, 3, 0.0), (121, 59, 61**2 / 180), (10, 20, 81 / 30), (20, 10, 81 / 30)],
)
def test_the_corrected_statistic(b: int, c: int, statistic: float) -> None:
    assert mcnemar_chi2(b, c) == pytest.approx(statistic)


@pytest.mark.parametrize(
    ("b", "c", "p", "exact"),
    [
        (0, 0, 1.0, True),
        (0, 5, 0.0625, True),
        (1, 9, 22 / 1024, True),
        (EXACT_UP_TO, 0, 2.0 / 2**EXACT_UP_TO, True),
        (600, 500, math.erfc(math.sqrt(99**2 / 1100 / 2)), False),
        (600, 600, 1.0, False),
    ],
)
def test_mcnemar_is_exact_for_few_rows_and_chi_squared_for_many(b: int, c: int, p: float, exact: bool) -> None:
    test = mcnemar_test(b, c)
    assert test.p_value == pytest.approx(p)
    assert test.exact is exact
    assert mcnemar_test(c, b).p_value == test.p_value


def test_both_forms_say_nearly_the_same_where_they_meet() -> None:
    for b in (480, 500, 530, 560):
        assert chi2_tail(mcnemar_chi2(b, EXACT_UP_TO - b)) == pytest.approx(mcnemar_exact(b, EXACT_UP_TO - b), abs=2e-3)


def test_a_paired_share_worked_by_hand() -> None:
    """b = 2, c = 6 of 48 rows: (6.5 - 2.5) / 50 = 0.08, spread 1.959964 * sqrt(9 - 16/50) / 50 = 0.115487."""
    share = paired_share(2, 6, 48)
    assert share.difference == pytest.approx(4 / 48)
    assert share.low == pytest.approx(0.08 - 0.115487, abs=1e-5)
    assert share.high == pytest.approx(0.08 + 0.115487, abs=1e-5)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_the_interval_turns_round_with_the_guards_and_stays_within_its_range(b: int, c: int, agreed: int) -> None:
    one, other = paired_share(b, c, b + c + agreed), paired_share(c, b, b + c + agreed)
    assert one.low == pytest.approx(-other.high)
    assert one.high == pytest.approx(-other.low)
    assert -1 <= one.low <= one.high <= 1


def test_no_rows_leave_everything_open() -> None:
    assert paired_share(0, 0, 0).low < -0.5


def test_how_many_rows_a_margin_takes() -> None:
    """Two guards that never differ: 1.959964 / (n + 2) <= 0.05, so n = 38; one row fewer is not enough."""
    assert rows_to_show(0.05) == 38
    assert paired_share(0, 0, 38).low >= -0.05 > paired_share(0, 0, 37).low
    assert rows_to_show(0.10) == 18


@pytest.mark.parametrize(("b", "c", "rows"), [(-1, 0, 5), (3, 3, 5), (0, -2, 5)])
def test_counts_that_no_table_can_have_are_refused(b: int, c: int, rows: int) -> None:
    with pytest.raises(NotPairedCounts):
        paired_share(b, c, rows)


def test_a_margin_of_nothing_is_refused() -> None:
    with pytest.raises(NotPairedCounts, match="margin"):
        rows_to_show(0.0)


def test_the_reliability_curve_of_a_table() -> None:
    scores = [0.05, 0.15, 0.15, 0.95, 1.0]
    curve = reliability(scores, [False, True, False, True, True])
    assert [(one.low, one.high, one.n, one.positives) for one in curve] == [
        (0.0, 0.1, 1, 0.0),
        (0.1, 0.2, 2, 0.5),
        (0.9, 1.0, 2, 1.0),
    ]
    assert [one.mean_score for one in curve] == pytest.approx([0.05, 0.15, 0.975])
    assert curve[1].gap == pytest.approx(-0.35)
    assert reliability([], []) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_the_curve_in_as_many_bins_gives_the_calibration_error(rows: list[tuple[float, bool]]) -> None:
    scores, positive = [p for p, _ in rows], [y for _, y in rows]
    curve = reliability(scores, positive, bins=15)
    assert sum(one.n for one in curve) == len(rows)
    assert sum(abs(one.gap) * one.n for one in curve) / len(rows) == pytest.approx(
        expected_calibration_error(scores, positive), abs=1e-9
    )


def test_only_probabilities_have_a_curve() -> None:
    with pytest.raises(ScoresNotProbabilities):
        reliability([1.5], [True])
