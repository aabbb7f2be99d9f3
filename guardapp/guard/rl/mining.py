"""Which rows are worth reinforcement: pass rates over rollouts, and the papers' rules for keeping a row.

| rule        | keeps a row when                      | preset                             |
|-------------|---------------------------------------|------------------------------------|
| `all_wrong` | every rollout is wrong                | vl                                 |
| `any_wrong` | at least one rollout is wrong         | omni-v1                            |
| `mixed`     | some rollouts are right, some wrong   | omni-v2, and DPO's pairs (hs-dpo)  |

A rollout is wrong if either label is wrong or missing (`guardapp.guard.rl.rewards.Graded.right` is the opposite).
"""

from collections.abc import Sequence
from enum import StrEnum


class NoRollouts(ValueError):
    """A row without a rollout has no pass rate."""


class KeepRuleUnknown(ValueError):
    """There is no rule of that name for keeping a mined row; the message lists those that there are."""


class KeepRule(StrEnum):
    ALL_WRONG = "all_wrong"
    ANY_WRONG = "any_wrong"
    MIXED = "mixed"


def keep_rule(name: str) -> KeepRule:
    """Raises KeepRuleUnknown."""
    try:
        return KeepRule(name)
    except ValueError:
        raise KeepRuleUnknown(f"keep={name!r} is not one of {', '.join(KeepRule)}.") from None


def pass_rate(rights: Sequence[bool]) -> float:
    """The share of a row's rollouts that are right, 0 to 1. Raises NoRollouts."""
    if not rights:
        raise NoRollouts(NoRollouts.__doc__)
    return sum(rights) / len(rights)


def keeps(rule: KeepRule, rights: Sequence[bool]) -> bool:
    """Whether a row whose rollouts were right or wrong like this is kept. Raises NoRollouts."""
    rate = pass_rate(rights)
    if rule is KeepRule.ALL_WRONG:
        return rate == 0
    if rule is KeepRule.ANY_WRONG:
        return rate < 1
    return 0 < rate < 1


def hard_sample_weights(differences: Sequence[int | None], spread: float) -> list[float]:
    """HS-DPO's weight of each pair: 1 + Norm(wrong - right), where the counts are those of the pair's row.

    Norm maps the largest difference, of either sign, to `spread`, and a row with as many right as wrong to 0: a harder
    row weighs more. Its exact form was not found; this one is ours. None, a pair without counts, weighs 1.
    """
    widest = max((abs(difference) for difference in differences if difference is not None), default=0)
    return [1 + spread * difference / widest if difference and widest else 1.0 for difference in differences]
