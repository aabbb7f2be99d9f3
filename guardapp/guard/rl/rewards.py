"""The papers' rewards as pure functions of one graded completion; GRPO maximises them.

f is 1 if the completion has the published format, else 0. acc = 0.5·[prompt label right] + 0.5·[response label right],
or the prompt label alone if the row has no response. L is the number of tokens of the completion.

| name               | from      | reward                                                                         |
|--------------------|-----------|--------------------------------------------------------------------------------|
| `omni-v1`          | Omni 148k | 0 if f = 0; else acc + e, e = 0.2·tanh(L/300) if acc < 1, else 0               |
| `omni-v2`          | Omni 181k | 0 if f = 0; else acc - c, c = 0.4·tanh(max(0, (L-250)/250)) if acc = 1, else 0 |
| `omni-v2-released` | its code  | 0 if f = 0; else acc: the next line overwrites the penalised reward            |
| `vl`               | VL        | (-1 + f·acc) / min(l, 1)², l = L / max completion tokens, at least 0.05        |
| `vl-eco`           | VL        | (-1 + f·acc) / min(l, 1/6)²                                                    |
| `accuracy`         | ours      | acc                                                                            |

The floor of l is ours; no published value was found.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from guardapp.guard.parsing import has_published_format, parse_labels
from guardapp.guard.verdict import Verdict

EXPLORATION, EXPLORATION_TOKENS = 0.2, 300
CONCISION, CONCISE_TOKENS = 0.4, 250
VL_BETA, VL_ECO_BETA = 1.0, 1 / 6
LENGTH_FLOOR = 0.05
_NOTHING_STATED = Verdict()


class NothingToGrade(ValueError):
    """A row without a gold label for prompt or response cannot reward a completion."""


class RewardUnknown(ValueError):
    """No reward has this name; the message lists the existing ones."""


@dataclass(frozen=True, slots=True)
class Graded:
    """One completion graded against gold labels. A label without gold is None and does not count."""

    format_ok: bool
    prompt_right: bool | None
    response_right: bool | None
    tokens: int  # of the completion, including its end token
    max_tokens: int  # the limit for a completion

    @property
    def accuracy(self) -> float:
        """The share of gold labels that the completion gets right: 0, 0.5 or 1. Raises NothingToGrade."""
        if self.response_right is None:
            if self.prompt_right is None:
                raise NothingToGrade(NothingToGrade.__doc__)
            return float(self.prompt_right)
        return (
            float(self.response_right) if self.prompt_right is None else (self.prompt_right + self.response_right) / 2
        )

    @property
    def right(self) -> bool:
        """Whether every gold label is stated correctly, as mining counts it."""
        return self.accuracy == 1


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward and its parts; training maximises `total`.

    `length_term` is what the length added to the reward or subtracted from it; for `omni-v2-released` it is what the
    length would have subtracted if the code did not overwrite it.
    """

    total: float
    format: float
    accuracy: float
    length_term: float


RewardFunction = Callable[[Graded], Reward]


def grade(completion: str, gold: Verdict, *, response_present: bool, tokens: int, max_tokens: int) -> Graded:
    """Parse a completion with the product's one parser and compare it with the gold labels.

    The response label counts only if the sample has a response and a gold label for it. If the completion does not
    parse, every label is wrong.
    """
    read = parse_labels(completion, response_expected=response_present)
    stated = read or _NOTHING_STATED
    return Graded(
        # a completion that parses has the published format
        format_ok=read is not None or has_published_format(completion),
        prompt_right=None if gold.prompt is None else stated.prompt == gold.prompt,
        response_right=None if gold.response is None or not response_present else stated.response == gold.response,
        tokens=tokens,
        max_tokens=max_tokens,
    )


def plain_accuracy(graded: Graded) -> Reward:
    accuracy = graded.accuracy
    return Reward(accuracy, float(graded.format_ok), accuracy, 0.0)


def error_driven_exploration(graded: Graded) -> Reward:
    """Reward a wrong completion slightly for thinking longer: 0.152 at L = 300, at most 0.2."""
    accuracy = graded.accuracy
    explored = EXPLORATION * math.tanh(graded.tokens / EXPLORATION_TOKENS) if accuracy < 1 else 0.0
    return _gated(graded, accuracy, explored)


def concise_correctness(graded: Graded) -> Reward:
    """Penalise a right completion for each token beyond 250, by at most 0.4."""
    accuracy = graded.accuracy
    return _gated(graded, accuracy, -_verbosity(accuracy, graded.tokens))


def concise_correctness_as_released(graded: Graded) -> Reward:
    accuracy = graded.accuracy
    total = accuracy if graded.format_ok else 0.0
    return Reward(
        total, float(graded.format_ok), accuracy, -_verbosity(accuracy, graded.tokens) if graded.format_ok else 0.0
    )


def length_aware_safety(graded: Graded, *, beta: float) -> Reward:
    """Always at most 0. A short imperfect completion costs more; from l = beta on, length is free."""
    accuracy = graded.accuracy
    unscaled = -1 + (accuracy if graded.format_ok else 0.0)
    length = max(LENGTH_FLOOR, graded.tokens / graded.max_tokens)
    total = unscaled / min(length, beta) ** 2
    return Reward(total, float(graded.format_ok), accuracy, total - unscaled)


def _verbosity(accuracy: float, tokens: int) -> float:
    return CONCISION * math.tanh(max(0.0, (tokens - CONCISE_TOKENS) / CONCISE_TOKENS)) if accuracy == 1 else 0.0


def _gated(graded: Graded, accuracy: float, length_term: float) -> Reward:
    """Without the format, the reward is 0, including the length term."""
    if not graded.format_ok:
        return Reward(0.0, 0.0, accuracy, 0.0)
    return Reward(accuracy + length_term, 1.0, accuracy, length_term)


REWARDS: Mapping[str, RewardFunction] = {
    "omni-v1": error_driven_exploration,
    "omni-v2": concise_correctness,
    "omni-v2-released": concise_correctness_as_released,
    "vl": partial(length_aware_safety, beta=VL_BETA),
    "vl-eco": partial(length_aware_safety, beta=VL_ECO_BETA),
    "accuracy": plain_accuracy,
}


def reward_named(name: str) -> RewardFunction:
    """Return the reward function with this name. Raises RewardUnknown."""
    try:
        return REWARDS[name]
    except KeyError:
        raise RewardUnknown(f"reward={name!r} is not one of {', '.join(REWARDS)}.") from None
