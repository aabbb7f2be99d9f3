"""The engine of a job: transformers or vLLM in-process, or remote servers."""

from typing import Protocol

from guardapp.guard.engines.kinds import EngineOptions, engine_named
from guardapp.guard.protocol import Engine


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
    options = EngineOptions(config.model, threads=config.threads, batch_size=batch_size, urls=urls)
    return engine_named(config.engine).make(options)
