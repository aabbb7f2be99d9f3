import pytest

from guardapp.guard.rl.mining import (
    KeepRule,
    KeepRuleUnknown,
    NoRollouts,
    hard_sample_weights,
    keep_rule,
    keeps,
    pass_rate,
)


@pytest.mark.parametrize(
    ("rights", "all_wrong", "any_wrong", "mixed"),
    [
        ("0000", True, True, False),
        ("1000", False, True, True),
        ("1110", False, True, True),
        ("1111", False, False, False),
        ("0", True, True, False),
        ("1", False, False, False),
    ],
)
def test_keep_rules(rights: str, all_wrong: bool, any_wrong: bool, mixed: bool) -> None:
    drawn = [right == "1" for right in rights]
    assert keeps(KeepRule.ALL_WRONG, drawn) == all_wrong
    assert keeps(KeepRule.ANY_WRONG, drawn) == any_wrong
    assert keeps(KeepRule.MIXED, drawn) == mixed


@pytest.mark.parametrize(("rights", "rate"), [([True], 1.0), ([True, False, False, False], 0.25), ([False], 0.0)])
def test_pass_rate(rights: list[bool], rate: float) -> None:
    assert pass_rate(rights) == rate


def test_a_row_without_rollouts_and_an_unknown_rule_are_refused() -> None:
    with pytest.raises(NoRollouts):
        keeps(KeepRule.ANY_WRONG, [])
    assert keep_rule("mixed") is KeepRule.MIXED
    with pytest.raises(KeepRuleUnknown, match=r"hard.*all_wrong, any_wrong, mixed"):
        keep_rule("hard")


@pytest.mark.parametrize(
    ("differences", "weights"),
    [
        ([2, 0, -2], [1.2, 1.0, 0.8]),
        ([6, 3, -3], [1.2, 1.1, 0.9]),
        ([-2, -1], [0.8, 0.9]),
        ([0, 0], [1.0, 1.0]),
        ([None, 2], [1.0, 1.2]),
        ([None], [1.0]),
        ([], []),
    ],
)
def test_harder_rows_weigh_more_in_hs_dpo(differences: list[int | None], weights: list[float]) -> None:
    assert hard_sample_weights(differences, 0.2) == pytest.approx(weights)
