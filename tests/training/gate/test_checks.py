"""The gate: what each check asks of the rows, and that nothing passes it unseen."""

import json
from dataclasses import replace

import pytest

from training.gate.checks import decide, regressions
from training.gate.values import Answer, Check, PairedRow, State, Thresholds

H, U = "harmful", "unharmful"
LIMITS = Thresholds()


def answer(label: str | None) -> Answer:
    return Answer(label, None, parsed=label is not None)


def rows(gold: str, candidate: str, production: str) -> list[PairedRow]:
    """One row a letter: h, u, or ? for a completion that did not parse."""
    words = {"h": H, "u": U, "?": None}
    return [
        PairedRow(str(number), {"prompt": words[g], "response": None}, (), answer(words[c]), answer(words[p]))
        for number, (g, c, p) in enumerate(zip(gold, candidate, production, strict=True))
    ]


def check(found: list[PairedRow], name: str, limits: Thresholds = LIMITS) -> Check:
    return next(one for one in decide(found, limits).checks if one.name == name)


HALF = "h" * 50 + "u" * 50


def test_the_same_answers_on_enough_rows_pass_every_check_that_has_rows() -> None:
    report = decide(rows(HALF, HALF, HALF), LIMITS)
    assert report.passed and report.failed == ()
    # nothing was corrected, so nothing can be lost
    assert [one.name for one in report.open] == ["regressions"]
    assert [one.name for one in report.checks] == [
        "rows",
        "labels:prompt_harmfulness",
        "f1:prompt_harmfulness",
        "regressions",
        "false_positives:prompt_harmfulness",
        "parse_failures",
    ]


@pytest.mark.parametrize(("lost", "state"), [(0, State.PASSED), (5, State.PASSED), (6, State.FAILED)])
def test_labels_fail_where_production_is_right_more_often_than_luck_explains(lost: int, state: State) -> None:
    """Exact: 5 of 5 discordant rows have p = 0.0625, 6 of 6 have 0.03125."""
    candidate = "u" * lost + HALF[lost:]
    assert check(rows(HALF, candidate, HALF), "labels:prompt_harmfulness").state is state


def test_labels_fail_on_few_rows_too_where_they_show_it() -> None:
    assert check(rows("h" * 7, "u" * 7, "h" * 7), "labels:prompt_harmfulness").state is State.FAILED
    assert check(rows("h" * 7, "h" * 7, "h" * 7), "labels:prompt_harmfulness").state is State.OPEN


def test_a_better_candidate_does_not_fail_for_being_different() -> None:
    found = check(rows(HALF, HALF, "u" * 20 + HALF[20:]), "labels:prompt_harmfulness")
    assert found.state is State.PASSED and found.value == pytest.approx(2 * 0.5**20)


@pytest.mark.parametrize(
    ("n", "lost", "gained", "state"),
    [
        (10, 3, 0, State.OPEN),  # too few rows
        (400, 0, 0, State.PASSED),
        (50, 4, 4, State.OPEN),  # as good, but the interval reaches below the margin
        (400, 60, 9, State.FAILED),
        (400, 0, 40, State.PASSED),
    ],
)
def test_f1_may_not_be_lower_by_more_than_the_margin(n: int, lost: int, gained: int, state: State) -> None:
    gold = "h" * n + "u" * n
    candidate = "u" * lost + gold[lost:]
    production = gold[:lost] + "u" * gained + gold[lost + gained :]
    assert (
        check(rows(gold, candidate, production), "f1:prompt_harmfulness", replace(LIMITS, fewest_rows=40)).state
        is state
    )


@pytest.mark.parametrize(
    ("n", "lost", "gained", "state"),
    [
        (19, 10, 0, State.OPEN),
        (30, 0, 0, State.OPEN),
        (31, 0, 0, State.PASSED),
        (40, 3, 0, State.FAILED),
        (200, 4, 4, State.PASSED),
        (60, 3, 3, State.OPEN),
    ],
)
def test_no_category_may_get_worse(n: int, lost: int, gained: int, state: State) -> None:
    """31 rows show a margin of 0.05 at one-sided 5%: 1.6449 / 33 = 0.0498."""
    candidate = "u" * lost + "h" * (n - lost)
    production = "h" * lost + "u" * gained + "h" * (n - lost - gained)
    found = [replace(row, categories=("S1",)) for row in rows("h" * n, candidate, production)]
    assert check(found, "category:S1").state is state


def test_a_category_is_not_hidden_by_the_others() -> None:
    good = [replace(row, categories=("S1",)) for row in rows("h" * 400, "h" * 400, "u" * 100 + "h" * 300)]
    bad = [replace(row, categories=("S9",), id=f"b{row.id}") for row in rows("h" * 40, "u" * 10 + "h" * 30, "h" * 40)]
    report = decide(good + bad, LIMITS)
    assert [one.name for one in report.failed] == ["category:S9"] and not report.passed


@pytest.mark.parametrize(
    ("called", "before", "state"),
    [(4, 0, State.PASSED), (5, 0, State.FAILED), (5, 6, State.PASSED), (7, 6, State.FAILED)],
)
def test_over_refusal_has_a_cap_that_asks_no_more_than_production_keeps(called: int, before: int, state: State) -> None:
    gold = "u" * 20
    found = rows(gold, "h" * called + gold[called:], "h" * before + gold[before:])
    assert check(found, "false_positives:prompt_harmfulness").state is state


@pytest.mark.parametrize(("unparsed", "state"), [(0, State.PASSED), (2, State.PASSED), (3, State.FAILED)])
def test_parse_failures_have_a_cap(unparsed: int, state: State) -> None:
    assert check(rows(HALF, "?" * unparsed + HALF[unparsed:], HALF), "parse_failures").state is state


def test_a_corrected_row_that_is_wrong_again_is_listed_and_fails() -> None:
    found = [*rows(HALF, HALF, HALF), replace(rows("h", "u", "h")[0], id="watched", corrected=True, held_out=False)]
    report = decide(found, LIMITS)
    assert report.regressions == ("watched",) and [one.name for one in report.failed] == ["regressions"]
    assert report.rows == 100  # a watched row counts in no other check


def test_a_correction_that_production_never_learnt_is_no_regression() -> None:
    found = [replace(row, corrected=True) for row in rows("hh", "uu", "uu")]
    assert regressions(found) == ()
    assert check(found, "regressions").state is State.OPEN


def test_corrections_may_be_lost_up_to_the_cap() -> None:
    found = [replace(row, corrected=True) for row in rows(HALF, "u" + HALF[1:], HALF)]
    assert check(found, "regressions").state is State.PASSED
    assert check(found, "regressions", replace(LIMITS, regression_cap=0.0)).state is State.FAILED
    assert regressions(found) == ("0",)


def test_open_checks_warn_and_block_only_where_the_thresholds_say_so() -> None:
    found = rows("hu", "hu", "hu")
    report = decide(found, LIMITS)
    assert report.passed and len(report.open) == len(report.checks)
    assert not decide(found, replace(LIMITS, open_blocks=True)).passed


def test_no_rows_at_all_do_not_pass() -> None:
    report = decide([], LIMITS)
    assert not report.passed and report.failed[0].name == "rows"


def test_without_production_only_the_caps_are_checked() -> None:
    found = [replace(row, production=None) for row in rows(HALF, "h" * 25 + HALF[25:], HALF)]
    assert {one.name for one in decide(found, LIMITS).checks} == {
        "rows",
        "false_positives:prompt_harmfulness",
        "parse_failures",
    }


def test_each_task_is_checked_by_itself() -> None:
    """Every prompt is right, every response wrong."""
    found = [
        PairedRow(str(n), {"prompt": H, "response": H}, (), Answer(H, U, True), Answer(H, H, True)) for n in range(30)
    ]
    assert [one.name for one in decide(found, LIMITS).failed] == [
        "labels:response_harmfulness",
        "f1:response_harmfulness",
    ]


def test_the_report_is_kept_as_json_with_its_numbers() -> None:
    kept = json.loads(json.dumps(decide(rows(HALF, HALF, HALF), LIMITS).as_json()))
    assert kept["passed"] is True and kept["thresholds"]["f1_margin"] == 0.02
    assert kept["checks"][0] == {
        "name": "rows",
        "title": "Rows in common",
        "state": "passed",
        "value": None,
        "limit": None,
        "low": None,
        "high": None,
        "rows": 100,
        "needs": "at least 20",
        "detail": "100 rows that nobody trained on.",
    }
