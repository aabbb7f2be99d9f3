"""Judge samples as serving does: with full reasoning, or labels only."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from guardapp.guard.protocol import Engine, FlowingEngine, Order
from guardapp.guard.verdict import Decoding, Rollout, Sample, always
from guardapp.guard.windows import DEFAULT_WINDOWING, Windowing, reading_windows, why_too_long

# as in GuardReasoner-Omni's published mining
ROLLOUT_TEMPERATURE, ROLLOUT_TOP_P = 1.0, 0.95
LABELS_FIRST = "<think>\n</think>\n<result>\nRequest:"
# enough for both labels and the closing tag in any tokenizer
LABELS_FIRST_TOKENS = 24


class Mode(StrEnum):
    """FAST forces an empty reasoning, so that only the labels are generated; it names no categories."""

    FULL = "full"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sample and how to judge it. In full mode, `rollouts` completions are sampled besides the greedy one.

    `wanted` is asked between tokens: once it is false, nobody waits for the answer.
    """

    sample: Sample
    mode: Mode = Mode.FULL
    rollouts: int = 0
    wanted: Callable[[], bool] = field(default=always, compare=False)

    @property
    def sampled(self) -> int:
        """The number of completions sampled besides the greedy one. Requests with the same number can be batched."""
        return self.rollouts if self.mode is Mode.FULL else 0

    def new_tokens(self, most: int) -> int:
        """How many tokens may be generated, if a full completion has at most `most`."""
        return most if self.mode is Mode.FULL else LABELS_FIRST_TOKENS


@dataclass(frozen=True, slots=True)
class Judged:
    """The completions for one sample."""

    greedy: Rollout
    sampled: tuple[Rollout, ...] = ()

    @property
    def all(self) -> tuple[Rollout, ...]:
        return self.greedy, *self.sampled


def judge(engine: Engine, requests: Sequence[SampleRequest], *, max_new_tokens: int) -> list[Judged]:
    """Return answers in input order. All requests must have the same `sampled`. Raises what the engine raises."""
    found: dict[int, Judged] = {}
    for mode in Mode:
        numbers = [number for number, request in enumerate(requests) if request.mode is mode]
        samples = [requests[number].sample for number in numbers]
        if samples:
            wanted = _anybody([requests[number] for number in numbers])
            judged = (
                _in_full(engine, samples, requests[0].sampled, Decoding(max_new_tokens=max_new_tokens, wanted=wanted))
                if mode is Mode.FULL
                else _fast(engine, samples, Decoding(max_new_tokens=LABELS_FIRST_TOKENS, wanted=wanted))
            )
            found |= zip(numbers, judged, strict=True)
    return [found[number] for number in range(len(requests))]


def judge_as_they_come(
    engine: Engine,
    requests: Sequence[SampleRequest],
    more: Callable[[int], Sequence[SampleRequest]],
    *,
    max_new_tokens: int,
    windowing: Windowing = DEFAULT_WINDOWING,
) -> Iterator[tuple[int, Judged | Exception]]:
    """Yield (number of the request, answer) as answers finish; requests from `more(room)` continue the numbering.

    All requests must have the same `sampled`. If that is not 0, or the engine cannot take newcomers, the first requests
    are answered together. Long samples are judged in windows. See `FlowingEngine.flow` for errors.
    """
    engine = reading_windows(engine, windowing)
    if requests[0].sampled or not isinstance(engine, FlowingEngine):
        yield from _together(engine, requests, max_new_tokens)
        return

    def order(request: SampleRequest) -> Order:
        return (
            Order(request.sample, LABELS_FIRST_TOKENS, LABELS_FIRST, request.wanted)
            if request.mode is Mode.FAST
            else Order(request.sample, max_new_tokens, wanted=request.wanted)
        )

    for number, rollouts in engine.flow(
        [order(request) for request in requests], lambda room: [order(request) for request in more(room)]
    ):
        yield number, rollouts if isinstance(rollouts, Exception) else Judged(rollouts)


def _together(
    engine: Engine, requests: Sequence[SampleRequest], max_new_tokens: int
) -> Iterator[tuple[int, Judged | Exception]]:
    """Answer the samples that the engine can judge; a longer one gets SampleTooLong without affecting others."""
    readable: list[int] = []
    for number, request in enumerate(requests):
        error = why_too_long(engine, request.sample, request.new_tokens(max_new_tokens))
        if error is None:
            readable.append(number)
        else:
            yield number, error
    if readable:
        answers = judge(engine, [requests[number] for number in readable], max_new_tokens=max_new_tokens)
        yield from zip(readable, answers, strict=True)


def _in_full(engine: Engine, samples: Sequence[Sample], rollouts: int, decoding: Decoding) -> list[Judged]:
    greedy = engine.generate(samples, decoding)
    if not rollouts:
        return [Judged(group[0]) for group in greedy]
    sampled = engine.generate(
        samples, replace(decoding, temperature=ROLLOUT_TEMPERATURE, top_p=ROLLOUT_TOP_P, n=rollouts)
    )
    return [Judged(group[0], tuple(others)) for group, others in zip(greedy, sampled, strict=True)]


def _fast(engine: Engine, samples: Sequence[Sample], decoding: Decoding) -> list[Judged]:
    return [Judged(rollout) for rollout in engine.continue_from(samples, [LABELS_FIRST] * len(samples), decoding)]


def _anybody(requests: Sequence[SampleRequest]) -> Callable[[], bool]:
    """Whether anybody waits for one of these, which are answered together."""
    if all(request.wanted is always for request in requests):
        return always
    return lambda: any(request.wanted() for request in requests)
