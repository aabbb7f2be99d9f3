"""The Engine protocol: what serves, mines and evaluates a guard."""

from collections.abc import Sequence
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
