"""The Engine protocol: what serves, mines and evaluates a guard."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from guardapp.guard.verdict import Decoding, Rollout, Sample


class EngineError(Exception):
    """The guard engine could not answer; the message says why."""


class CheckpointNotUsable(EngineError):
    """The folder or hub id is not a Qwen2.5-VL or Qwen3-VL checkpoint that this engine can load."""


@runtime_checkable
class Engine(Protocol):
    """A loaded guard. Not thread-safe; one process, one engine."""

    name: str  # the checkpoint's folder or id

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        """`decoding.n` rollouts for each sample, in the order given: len(result) == len(samples)."""

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        """One rollout per sample whose completion starts with `prefixes[i]` (kept in `completion`)."""


@dataclass(frozen=True, slots=True)
class Order:
    """One greedy completion that is wanted; it starts with `prefix` where there is one."""

    sample: Sample
    max_new_tokens: int
    prefix: str | None = None


@runtime_checkable
class FlowingEngine(Engine, Protocol):
    """An engine whose batch newcomers can join while it runs."""

    def flow(
        self, orders: Sequence[Order], more: Callable[[int], Sequence[Order]]
    ) -> Iterator[tuple[int, Rollout | Exception]]:
        """Completions as they end, each with its order's number: 0 is the first of `orders`, and those that `more` gave
        count on.

        `more(room)` is asked between two tokens for at most `room` newcomers and must not wait. A sample that cannot be
        encoded comes back as the error; whatever is raised concerns all that are not answered.
        """
