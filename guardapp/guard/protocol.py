"""The Engine protocol, used for serving, mining and evaluation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from guardapp.guard.verdict import Decoding, Rollout, Sample, always


class EngineError(Exception):
    """The guard engine could not answer; the message says why."""


class CheckpointNotUsable(EngineError):
    """The folder or hub id is not a Qwen2.5-VL or Qwen3-VL checkpoint that this engine can load."""


class SampleTooLong(EngineError):
    """Prompt and media have more tokens than the guard's context leaves for them."""

    def __init__(self, tokens: int, limit: int) -> None:
        """`tokens` are those of the prompt with its media; `limit` is the context minus the completion's limit."""
        super().__init__(f"This is too long for the guard: {tokens:,} tokens, it reads at most {limit:,}.")
        self.tokens = tokens
        self.limit = limit


class NobodyWaits(Exception):
    """Whoever asked has left, or the time is over: generation ended between two tokens."""


@runtime_checkable
class Engine(Protocol):
    """A loaded guard. Not thread-safe: one engine per process."""

    name: str  # the checkpoint's folder or hub id

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        """Return `decoding.n` rollouts per sample, in input order: len(result) == len(samples).

        Raises SampleTooLong if one exceeds the context, and NobodyWaits.
        """

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        """Return one rollout per sample. Its completion starts with `prefixes[i]`, which is kept in `completion`."""


@runtime_checkable
class MeasuringEngine(Engine, Protocol):
    """An engine that knows its model's context. `context` counts tokens of prompt and completion; None: unknown."""

    context: int | None

    def prompt_tokens(self, sample: Sample) -> int:
        """Count the tokens of the whole prompt, media included; at least that many where it cannot be exact."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request for one greedy completion, starting with `prefix`. `wanted` is asked between tokens."""

    sample: Sample
    max_new_tokens: int
    prefix: str | None = None
    wanted: Callable[[], bool] = always


@runtime_checkable
class FlowingEngine(Engine, Protocol):
    """An engine that lets new orders join a running batch."""

    def flow(
        self, orders: Sequence[Order], more: Callable[[int], Sequence[Order]]
    ) -> Iterator[tuple[int, Rollout | Exception]]:
        """Yield (number of the order, completion) as completions finish.

        Number 0 is the first of `orders`; orders from `more` continue the sequence.

        `more(room)` is called between two tokens, returns at most `room` new orders and must not block. A sample that
        cannot be encoded yields its error, and one that is no longer wanted yields NobodyWaits; an exception raised
        here applies to all unanswered orders.
        """
