"""From what the guard said to scores by category, and from scores to allow, review or block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Rollout

HARMFUL = "harmful"  # the score of all harm, and the thresholds of harm that has none of its own


class Action(StrEnum):
    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


GRAVITY = {Action.ALLOW: 0, Action.REVIEW: 1, Action.BLOCK: 2}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Scores from which content is reviewed, and blocked. Above 1: never."""

    review_at: float
    block_at: float

    def decide(self, score: float) -> Action:
        if score >= self.block_at:
            return Action.BLOCK
        return Action.REVIEW if score >= self.review_at else Action.ALLOW


DEFAULT_THRESHOLD = Threshold(review_at=0.5, block_at=0.9)


@dataclass(frozen=True, slots=True)
class Scores:
    """0 to 1, means over the completions. `harmful` is P(harmful) of prompt or response, whichever is greater; a
    category's score is the part of it that comes with its name, `unnamed` the part that comes with no name (all of it
    in fast mode).

    `readable` False: the guard's own completion does not parse, and the scores are those of the others.
    """

    harmful: float
    unnamed: float
    categories: Mapping[str, float]
    readable: bool = True


def scores_of(rollouts: Sequence[Rollout]) -> Scores:
    """The greedy completion first, then the sampled ones."""
    parsed = [(rollout, rollout.judgement.verdict.categories) for rollout in rollouts if rollout.judgement is not None]
    share = 1 / max(1, len(parsed))
    harmful = unnamed = 0.0
    categories: dict[str, float] = {}
    for rollout, named in parsed:
        part = harm_of(rollout) * share
        harmful += part
        unnamed += 0.0 if named else part
        for code in named:
            categories[code] = categories.get(code, 0.0) + part
    return Scores(
        min(harmful, 1.0),
        min(unnamed, 1.0),
        {code: min(score, 1.0) for code, score in categories.items()},
        rollouts[0].judgement is not None,
    )


def harm_of(rollout: Rollout) -> float:
    """P(harmful) of the prompt or the response, the greater; of a label without a score 1 or 0."""
    assert rollout.judgement is not None
    verdict = rollout.judgement.verdict
    labels = ((verdict.prompt, rollout.prompt_score), (verdict.response, rollout.response_score))
    return max(
        (score if score is not None else float(label is Harmfulness.HARMFUL) for label, score in labels if label),
        default=0.0,
    )


def decide(scores: Scores, thresholds: Mapping[str, Threshold]) -> tuple[Action, str]:
    """The gravest action and the category that brought it, `HARMFUL` for harm without a name; "" where all is allowed.

    A category without thresholds of its own has those of `HARMFUL`, or the default ones. What cannot be read is for
    people.
    """
    common = thresholds.get(HARMFUL, DEFAULT_THRESHOLD)
    weighed = [(thresholds.get(code, common).decide(score), score, code) for code, score in scores.categories.items()]
    weighed.append((common.decide(scores.unnamed), scores.unnamed, HARMFUL))
    if not scores.readable:
        weighed.append((Action.REVIEW, 0.0, HARMFUL))
    gravest = max(weighed, key=lambda one: (GRAVITY[one[0]], one[1]))
    return (gravest[0], gravest[2]) if gravest[0] is not Action.ALLOW else (Action.ALLOW, "")
