"""The papers' rewards as pure functions of one graded completion: what GRPO raises, what mining calls right.

f is 1 where the completion has the published format, else 0; acc = 0.5·[prompt label right] + 0.5·[response label
right], or the prompt label alone where the row has no response; L counts the completion's tokens.

| name               | from      | reward                                                                         |
|--------------------|-----------|--------------------------------------------------------------------------------|
| `omni-v1`          | Omni 148k | 0 if f = 0; else acc + e, e = 0.2·tanh(L/300) if acc < 1, else 0               |
| `omni-v2`          | Omni 181k | 0 if f = 0; else acc - c, c = 0.4·tanh(max(0, (L-250)/250)) if acc = 1, else 0 |
| `omni-v2-released` | its code  | 0 if f = 0; else acc: the next line overwrites the penalised reward            |
| `vl`               | VL        | (-1 + f·acc) / min(l, 1)², l = L / max completion tokens, at least 0.05        |
| `vl-eco`           | VL        | (-1 + f·acc) / min(l, 1/6)²                                                    |
| `accuracy`         | ours      | acc                                                                            |

The floor of l is ours: the paper's was not found.
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
    """A row without a gold label, of the prompt or of the response, cannot reward a completion."""


class RewardUnknown(ValueError):
    """There is no reward of that name; the message lists those that there are."""


@dataclass(frozen=True, slots=True)
class Graded:
    """One completion against its row's gold labels. A label is None where the row has no gold for it: it does not
    count.
    """

    format_ok: bool
    prompt_right: bool | None
    response_right: bool | None
    tokens: int  # of the completion, its end token included
    max_tokens: int  # what a completion may have at most

    @property
    def accuracy(self) -> float:
        """The share of the row's gold labels that the completion states: 0, 0.5 or 1. Raises NothingToGrade."""
        if self.response_right is None:
            if self.prompt_right is None:
                raise NothingToGrade(NothingToGrade.__doc__)
            return float(self.prompt_right)
        return (
            float(self.response_right) if self.prompt_right is None else (self.prompt_right + self.response_right) / 2
        )

    @property
    def right(self) -> bool:
        """Mining's sense: every gold label is stated, and none is wrong or missing."""
        return self.accuracy == 1


@dataclass(frozen=True, slots=True)
class Reward:
    """`total` is what training maximises. `length_term` is what length added to (or took from) the reward without it;
    for `omni-v2-released` what it would have taken, had the code not overwritten it."""

    total: float
    format: float
    accuracy: float
    length_term: float


RewardFunction = Callable[[Graded], Reward]


def grade(completion: str, gold: Verdict, *, response_present: bool, tokens: int, max_tokens: int) -> Graded:
    """Read a completion with the product's one parser and hold it against the gold labels.

    The response label counts where the sample has a response and gold has a label for it. What does not parse has every
    label wrong.
    """
    read = parse_labels(completion, response_expected=response_present)
    stated = read or _NOTHING_STATED
    return Graded(
        # what parses has the format
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
    """A wrong completion earns a little for thinking longer; L = 300 gives 0.152, of at most 0.2."""
    accuracy = graded.accuracy
    explored = EXPLORATION * math.tanh(graded.tokens / EXPLORATION_TOKENS) if accuracy < 1 else 0.0
    return _gated(graded, accuracy, explored)


def concise_correctness(graded: Graded) -> Reward:
    """A right completion pays for each token beyond 250, at most 0.4."""
    accuracy = graded.accuracy
    return _gated(graded, accuracy, -_verbosity(accuracy, graded.tokens))


def concise_correctness_as_released(graded: Graded) -> Reward:
    accuracy = graded.accuracy
    total = accuracy if graded.format_ok else 0.0
    return Reward(
        total, float(graded.format_ok), accuracy, -_verbosity(accuracy, graded.tokens) if graded.format_ok else 0.0
    )


def length_aware_safety(graded: Graded, *, beta: float) -> Reward:
    """Never above 0. The shorter a completion that is not all right, the more it costs; from l = beta on length is
    free.
    """
    accuracy = graded.accuracy
    unscaled = -1 + (accuracy if graded.format_ok else 0.0)
    length = max(LENGTH_FLOOR, graded.tokens / graded.max_tokens)
    total = unscaled / min(length, beta) ** 2
    return Reward(total, float(graded.format_ok), accuracy, total - unscaled)


def _verbosity(accuracy: float, tokens: int) -> float:
    return CONCISION * math.tanh(max(0.0, (tokens - CONCISE_TOKENS) / CONCISE_TOKENS)) if accuracy == 1 else 0.0


def _gated(graded: Graded, accuracy: float, length_term: float) -> Reward:
    """Nothing without the format, not even for length."""
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
    """Raises RewardUnknown."""
    try:
        return REWARDS[name]
    except KeyError:
        raise RewardUnknown(f"reward={name!r} is not one of {', '.join(REWARDS)}.") from None
