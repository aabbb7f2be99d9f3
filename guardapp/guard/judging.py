"""Asking a guard, as serving does: with its reasoning, or labels first without any."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from guardapp.guard.engines.base import Engine
from guardapp.guard.verdict import Decoding, Rollout, Sample

ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P = 1.0, 0.95  # of the published mining runs (spec: decoding)
LABELS_FIRST = "<think>\n</think>\n<result>\nRequest:"
LABELS_FIRST_TOKENS = 24  # both labels and the closing tag, in any tokenizer


class Mode(StrEnum):
    """FAST forces an empty reasoning, so that the labels are all that is generated; it names no categories."""

    FULL = "full"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Ask:
    """One sample and how it is to be judged. `rollouts`: sampled completions beside the greedy one, in full mode."""

    sample: Sample
    mode: Mode = Mode.FULL
    rollouts: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What the guard said of one sample."""

    greedy: Rollout
    sampled: tuple[Rollout, ...] = ()

    @property
    def all(self) -> tuple[Rollout, ...]:
        return self.greedy, *self.sampled


def judge(engine: Engine, asks: Sequence[Ask], *, max_new_tokens: int) -> list[Judged]:
    """Answers in the order given; all asks have the same mode and number of rollouts. Raises what the engine raises."""
    samples = [ask.sample for ask in asks]
    mode, rollouts = asks[0].mode, asks[0].rollouts
    if mode is Mode.FAST:
        decoding = Decoding(max_new_tokens=LABELS_FIRST_TOKENS)
        return [Judged(rollout) for rollout in engine.continue_from(samples, [LABELS_FIRST] * len(samples), decoding)]
    greedy = engine.generate(samples, Decoding(max_new_tokens=max_new_tokens))
    if not rollouts:
        return [Judged(group[0]) for group in greedy]
    sampled = engine.generate(samples, Decoding(temperature=ROLLOUT_TEMPERATURE, top_p=ROLLOUT_TOP_P, n=rollouts,
                                                max_new_tokens=max_new_tokens))
    return [Judged(group[0], tuple(others)) for group, others in zip(greedy, sampled, strict=True)]
