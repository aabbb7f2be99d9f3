"""The engine of a job: transformers or vLLM in-process, or remote servers."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from guardapp.guard.engines.kinds import EngineOptions, engine_named
from guardapp.guard.protocol import Engine
from guardapp.guard.windows import why_too_long
from training.learning.heartbeat import Heartbeat
from training.learning.rows import NAMED, Row

log = logging.getLogger("training.learning.engines")


@dataclass(frozen=True, slots=True)
class TooLong:
    """Rows that were left out, since the guard cannot read so much: their number, and the names of the first ones."""

    count: int
    named: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"too_long": self.count, "too_long_ids": list(self.named)}


class Asking(Protocol):
    """The common fields of configs of jobs that query a guard."""

    @property
    def model(self) -> str: ...

    @property
    def engine(self) -> str: ...

    @property
    def vllm_url(self) -> str: ...

    @property
    def threads(self) -> int: ...


def guard_engine(config: Asking, *, batch_size: int) -> Engine:
    """Load the engine that a config names. `batch_size` counts completions; vLLM batches by itself.

    Raises EngineUnknown or CheckpointNotUsable, and ImportError if the engine's package is not installed.
    """
    urls = [url.strip() for url in config.vllm_url.split(",")]
    context = int(getattr(config, "context", 0))
    options = EngineOptions(config.model, threads=config.threads, batch_size=batch_size, context=context, urls=urls)
    return engine_named(config.engine).make(options)


def readable(
    engine: Engine, rows: Iterable[Row], max_new_tokens: int, heartbeat: Heartbeat
) -> tuple[list[Row], TooLong]:
    """Divide rows into those that the engine can judge, and the names of those that are too long for it.

    Raises JobCancelled.
    """
    kept: list[Row] = []
    left_out: list[str] = []
    for row in heartbeat.each("measuring", list(rows)):
        if why_too_long(engine, row.sample, max_new_tokens) is None:
            kept.append(row)
        else:
            left_out.append(row.sample.id)
    if left_out:
        log.warning("%d rows are too long for the guard: %s", len(left_out), ", ".join(left_out[:NAMED]))
    return kept, TooLong(len(left_out), tuple(left_out[:NAMED]))
