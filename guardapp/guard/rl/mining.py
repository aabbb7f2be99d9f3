"""Pass rates over rollouts, and the papers' rules for which rows to keep for RL.

| rule        | keeps a row if                        | preset                             |
|-------------|---------------------------------------|------------------------------------|
| `all_wrong` | every rollout is wrong                | vl                                 |
| `any_wrong` | at least one rollout is wrong         | omni-v1                            |
| `mixed`     | some rollouts are right, some wrong   | omni-v2, and the pairs of hs-dpo   |

A rollout is wrong if either label is wrong or missing (`guardapp.guard.rl.rewards.Graded.right` is the opposite).
"""

from collections.abc import Sequence
from enum import StrEnum


class NoRollouts(ValueError):
    """A row without rollouts has no pass rate."""


class KeepRuleUnknown(ValueError):
    """No keep rule has this name; the message lists the existing ones."""


class KeepRule(StrEnum):
    ALL_WRONG = "all_wrong"
    ANY_WRONG = "any_wrong"
    MIXED = "mixed"


def keep_rule(name: str) -> KeepRule:
    """Return the rule with this name. Raises KeepRuleUnknown."""
    try:
        return KeepRule(name)
    except ValueError:
        raise KeepRuleUnknown(f"keep={name!r} is not one of {', '.join(KeepRule)}.") from None


def pass_rate(rights: Sequence[bool]) -> float:
    """The share of right rollouts, 0 to 1. Raises NoRollouts."""
    if not rights:
        raise NoRollouts(NoRollouts.__doc__)
    return sum(rights) / len(rights)


def keeps(rule: KeepRule, rights: Sequence[bool]) -> bool:
    """Whether the rule keeps a row with these rollouts. Raises NoRollouts."""
    rate = pass_rate(rights)
    if rule is KeepRule.ALL_WRONG:
        return rate == 0
    if rule is KeepRule.ANY_WRONG:
        return rate < 1
    return 0 < rate < 1


def hard_sample_weights(differences: Sequence[int | None], spread: float) -> list[float]:
    """HS-DPO's weight of each pair: 1 + Norm(wrong - right), with the counts of the pair's row.

    Norm maps the largest absolute difference to `spread`, and a row with equal counts to 0, so that a harder row weighs
    more. The exact published form was not found; this one is ours. None, a pair without counts, weighs 1.
    """
    widest = max((abs(difference) for difference in differences if difference is not None), default=0)
    return [1 + spread * difference / widest if difference and widest else 1.0 for difference in differences]
