"""Turn completions into scores by category, and scores into allow, review or block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from guardapp.guard.how_sure import SIDES, Calibration, HowSure, Side, how_sure, probability_in
from guardapp.guard.verdict import Rollout

# The key of the overall score, and of the thresholds for harm without a category of its own.
HARMFUL = "harmful"


class Action(StrEnum):
    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


GRAVITY = {Action.ALLOW: 0, Action.REVIEW: 1, Action.BLOCK: 2}


@dataclass(frozen=True, slots=True)
class Threshold:
    """The scores from which content is reviewed or blocked. A value above 1 means never."""

    review_at: float
    block_at: float

    def decide(self, score: float) -> Action:
        if score >= self.block_at:
            return Action.BLOCK
        return Action.REVIEW if score >= self.review_at else Action.ALLOW


DEFAULT_THRESHOLD = Threshold(review_at=0.5, block_at=0.9)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a content, 0 to 1.

    `harmful` is the probability of harm of the prompt or the response, whichever is greater; `sure` has both sides. A
    category's score is the share of it from completions that name the category; `unnamed` is the share from completions
    that name none (all of it in fast mode).

    `readable` is False if the greedy completion did not parse; the scores then come from the sampled completions only.
    """

    harmful: float
    unnamed: float
    categories: Mapping[str, float]
    readable: bool = True
    sure: Mapping[Side, HowSure] = field(default_factory=dict)


def scores_of(rollouts: Sequence[Rollout], calibration: Calibration | None = None) -> Scores:
    """Score the greedy completion, which comes first, together with the sampled ones."""
    sure = {side: how_sure(rollouts, side, calibration) for side in SIDES}
    harmful = max(_harm(rollouts, side, one) for side, one in sure.items())
    parsed = [(rollout, rollout.judgement) for rollout in rollouts if rollout.judgement is not None]
    parts = [(_greatest(rollout), judgement.verdict.categories) for rollout, judgement in parsed]
    whole = sum(part for part, _ in parts)
    unnamed = 0.0 if whole else harmful
    categories: dict[str, float] = {}
    for part, named in parts:
        share = harmful * (part / whole) if whole else 0.0
        unnamed += 0.0 if named else share
        for code in named:
            categories[code] = categories.get(code, 0.0) + share
    return Scores(
        harmful,
        min(unnamed, 1.0),
        {code: min(score, 1.0) for code, score in categories.items()},
        rollouts[0].judgement is not None,
        sure,
    )


def _harm(rollouts: Sequence[Rollout], side: Side, sure: HowSure) -> float:
    """The side's probability of harm; a label alone, without any probability, counts as 1 or 0."""
    if sure.harm is not None:
        return sure.harm
    return next((one for rollout in rollouts if (one := probability_in(rollout, side)) is not None), 0.0)


def _greatest(rollout: Rollout) -> float:
    """The greater P(harmful) of prompt and response in one completion."""
    return max((one for side in SIDES if (one := probability_in(rollout, side)) is not None), default=0.0)


def decide(scores: Scores, thresholds: Mapping[str, Threshold]) -> tuple[Action, str]:
    """Return the most severe action and the category that caused it.

    The category is `HARMFUL` for harm without a category, and "" if everything is allowed. A category without
    thresholds of its own uses those of `HARMFUL`, or else the defaults. A greedy completion that does not parse goes to
    review.
    """
    common = thresholds.get(HARMFUL, DEFAULT_THRESHOLD)
    weighed = [(thresholds.get(code, common).decide(score), score, code) for code, score in scores.categories.items()]
    weighed.append((common.decide(scores.unnamed), scores.unnamed, HARMFUL))
    if not scores.readable:
        weighed.append((Action.REVIEW, 0.0, HARMFUL))
    gravest = max(weighed, key=lambda one: (GRAVITY[one[0]], one[1]))
    return (gravest[0], gravest[2]) if gravest[0] is not Action.ALLOW else (Action.ALLOW, "")
