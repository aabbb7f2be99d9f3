"""How sure the guard is: one number a task, the probability of harm.

    harm = C(marginal),  marginal = (p_0 + p_1 + … + p_n) / (n + 1)

p_0 is P(harmful) at the label of the greedy completion, p_1 to p_n those of the sampled ones. Each is *conditional* on
the reasoning that its completion wrote first, and so mostly near 0 or 1. Their mean estimates the *marginal*: the sum
over all reasonings of P(reasoning) · P(harmful | reasoning), as in self-consistency (Wang et al. 2023). C is the
version's calibration, fitted on rows with a gold label by `guardapp.guard.measures.fit_calibrator`.

The probability never changes a label: the verdict is the greedy completion's.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Rollout

Side = Literal["prompt", "response"]
SIDES: tuple[Side, ...] = ("prompt", "response")
# in a checkpoint's folder: the calibration that it ships with, as the arguments of `store_calibration`
SHIPPED = "harm_calibration.json"
# a marginal nearer to 0 or 1 counts as this near: its logit must be finite
NEAREST = 1e-4


class Method(StrEnum):
    """How probabilities are calibrated. NONE leaves them as they are: there were too few rows, or it did not help."""

    NONE = "none"
    TEMPERATURE = "temperature"
    ISOTONIC = "isotonic"


class Sampling(StrEnum):
    """What a marginal is the mean of: the greedy completion alone, or that and sampled ones."""

    GREEDY = "greedy"
    SAMPLED = "sampled"


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A function from marginals to frequencies, increasing, 0 to 1, fitted on `rows` rows.

    Temperature: sigmoid(logit(p) / temperature) (Guo et al. 2017). Isotonic: linear between `knots`, pairs of marginal
    and frequency in order of both (Zadrozny and Elkan 2002).
    """

    method: Method = Method.NONE
    rows: int = 0
    temperature: float = 1.0
    knots: tuple[tuple[float, float], ...] = ()

    def of(self, marginal: float) -> float:
        if self.method is Method.TEMPERATURE:
            return 1 / (1 + math.exp(-logit(marginal) / self.temperature))
        return _between(self.knots, marginal) if self.method is Method.ISOTONIC else marginal

    def as_json(self) -> dict[str, Any]:
        own: dict[Method, dict[str, Any]] = {
            Method.NONE: {},
            Method.TEMPERATURE: {"temperature": self.temperature},
            Method.ISOTONIC: {"knots": [list(knot) for knot in self.knots]},
        }
        return {"method": self.method.value, "rows": self.rows} | own[self.method]

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        return cls(
            Method(given["method"]),
            int(given["rows"]),
            float(given.get("temperature", 1.0)),
            tuple((float(x), float(y)) for x, y in given.get("knots", ())),
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """A version's calibrators, by side and sampling. A missing one leaves probabilities as they are."""

    calibrators: Mapping[Side, Mapping[Sampling, Calibrator]] = field(default_factory=dict)

    def calibrator(self, side: Side, sampling: Sampling) -> Calibrator:
        return self.calibrators.get(side, {}).get(sampling, Calibrator())


@dataclass(frozen=True, slots=True)
class HowSure:
    """The probabilities of one side, 0 to 1, each None where the completions give none.

    `conditional` is the greedy completion's, `marginal` the mean over completions, `harm` the calibrated marginal: the
    number that is shown and compared with thresholds.
    """

    conditional: float | None = None
    marginal: float | None = None
    harm: float | None = None


def how_sure(rollouts: Sequence[Rollout], side: Side, calibration: Calibration | None = None) -> HowSure:
    """Measure one side of a sample from its completions, of which the greedy one comes first."""
    marginal = marginal_of(rollouts, side)
    if marginal is None:
        return HowSure()
    calibrator = (calibration or Calibration()).calibrator(side, sampling_of(len(rollouts) - 1))
    return HowSure(score_of(rollouts[0], side), marginal, calibrator.of(marginal))


def sampling_of(sampled: int) -> Sampling:
    """What a marginal over the greedy completion and `sampled` others is the mean of."""
    return Sampling.SAMPLED if sampled else Sampling.GREEDY


def marginal_of(rollouts: Sequence[Rollout], side: Side) -> float | None:
    """The mean over the completions that have a label for the side; None if that says nothing.

    Completions that did not parse are left out. One label alone, without a probability, says nothing; of several, the
    share of harmful ones is the mean.
    """
    labelled = [(one, rollout) for rollout in rollouts if (one := probability_in(rollout, side)) is not None]
    scored = any(score_of(rollout, side) is not None for _, rollout in labelled)
    return sum(one for one, _ in labelled) / len(labelled) if scored or len(labelled) > 1 else None


def probability_in(rollout: Rollout, side: Side) -> float | None:
    """P(harmful) after this completion's own reasoning; a label without a probability counts as 1 or 0.

    None if the completion did not parse or has no label for the side.
    """
    if rollout.judgement is None:
        return None
    verdict = rollout.judgement.verdict
    label, score = verdict.prompt if side == "prompt" else verdict.response, score_of(rollout, side)
    if label is None:
        return None
    return float(label is Harmfulness.HARMFUL) if score is None else score


def score_of(rollout: Rollout, side: Side) -> float | None:
    """P(harmful) at the completion's label, as the engine read it."""
    return rollout.prompt_score if side == "prompt" else rollout.response_score


def contradicts(label: str | None, harm: float | None) -> bool:
    """Whether the probability of harm is on the other side of one half than the verdict."""
    return label is not None and harm is not None and harm != 0.5 and (harm > 0.5) != (label == Harmfulness.HARMFUL)


def logit(probability: float) -> float:
    near = min(max(probability, NEAREST), 1 - NEAREST)
    return math.log(near / (1 - near))


def _between(knots: Sequence[tuple[float, float]], x: float) -> float:
    at = bisect_right(knots, x, key=lambda knot: knot[0])
    if at == 0:
        return knots[0][1]
    if at == len(knots):
        return knots[-1][1]
    (left, low), (right, high) = knots[at - 1], knots[at]
    return low + (high - low) * (x - left) / (right - left)
