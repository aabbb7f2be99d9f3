"""The engine of a job: transformers or vLLM in-process, or remote servers."""

from typing import Any, Protocol

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch

from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.engines.openai_server import OpenAIServerEngine
from guardapp.guard.protocol import Engine

# tokens of prompt and completion; a CPU lacks the memory for a large guard's whole context
CPU_CONTEXT = 8_192
# vLLM without a GPU: the exact arithmetic of the transformers engine, uncompiled
ON_A_CPU: dict[str, Any] = {"dtype": "float32", "max_model_len": CPU_CONTEXT, "enforce_eager": True}


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
    """Create the engine. `batch_size` counts completions; vLLM batches by itself.

    Raises CheckpointNotUsable, or ImportError if vLLM is not installed.
    """
    if config.engine == "vllm":
        # a marked exception to top-level imports: vLLM is optional
        from guardapp.guard.engines.vllm import VllmEngine

        return VllmEngine(config.model, **({} if torch.cuda.is_available() else ON_A_CPU))
    if config.engine == "server":
        return OpenAIServerEngine(
            config.model, [url.strip() for url in config.vllm_url.split(",")], in_flight=min(256, batch_size)
        )
    return HfEngine(config.model, threads=config.threads, batch_size=batch_size)
