"""The engine that a job asks: transformers or vLLM in its own process, or servers that hold the guard."""

from typing import Any, Protocol

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch

from guardapp.guard.engine import Engine
from guardapp.guard.engines.hf.engine import HfEngine
from guardapp.guard.engines.openai_server import OpenAIServerEngine

# tokens of prompt and completion; a CPU has no room for the whole context of a large guard
CPU_CONTEXT = 8_192
# where vLLM has no GPU: the exact arithmetic of the transformers engine, and nothing compiled
ON_A_CPU: dict[str, Any] = {"dtype": "float32", "max_model_len": CPU_CONTEXT, "enforce_eager": True}


class Asking(Protocol):
    """What the configs of jobs that ask a guard have in common."""

    @property
    def model(self) -> str: ...

    @property
    def engine(self) -> str: ...

    @property
    def vllm_url(self) -> str: ...

    @property
    def threads(self) -> int: ...


def guard_engine(config: Asking, *, batch_size: int) -> Engine:
    """`batch_size` counts completions; vLLM batches by itself. Raises CheckpointNotUsable, and ImportError where vLLM
    is missing.
    """
    if config.engine == "vllm":
        # the marked exception: vLLM is no part of the usual installation
        from guardapp.guard.engines.vllm import VllmEngine

        return VllmEngine(config.model, **({} if torch.cuda.is_available() else ON_A_CPU))
    if config.engine == "server":
        return OpenAIServerEngine(
            config.model, [url.strip() for url in config.vllm_url.split(",")], in_flight=min(256, batch_size)
        )
    return HfEngine(config.model, threads=config.threads, batch_size=batch_size)
