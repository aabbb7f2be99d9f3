"""A table of the kinds of engines: name in settings and recipes, requirements, and constructor.

To add an engine, add a module next to this one and a row here. torch, transformers and vLLM are imported only when an
engine is created, since the web process reads the table too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from guardapp.guard.protocol import Engine, EngineError

if TYPE_CHECKING:
    from guardapp.guard.engines.adapters import Adapter

# tokens of prompt and completion; a CPU lacks the memory for a large guard's whole context
CPU_CONTEXT = 8_192
# vLLM without a GPU: the exact arithmetic of the transformers engine, uncompiled
ON_A_CPU: Mapping[str, Any] = {"dtype": "float32", "max_model_len": CPU_CONTEXT, "enforce_eager": True}
MOST_IN_FLIGHT = 256  # concurrent requests to servers


class EngineUnknown(EngineError):
    """No engine has this name; the message lists the existing ones."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The options of an engine; each kind uses those that apply to it.

    `device=None` uses CUDA if available. `batch_size` counts completions; None uses the engine's default. `context`
    limits the tokens of prompt and completion to less than the model's own; 0 does not. `urls` are servers that serve
    the checkpoint, `key` is their API key.
    """

    checkpoint: str
    device: str | None = None
    threads: int = 0
    batch_size: int | None = None
    context: int = 0
    urls: Sequence[str] = ()
    key: str = ""
    structured: bool = False
    adapter: "Adapter | None" = None


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One way to run a guard.

    `package` is an optional dependency that it requires; `title` is the displayed name, `install` the tested version. A
    `remote` engine queries servers, whose addresses must be given.
    """

    name: str
    make: Callable[[EngineOptions], Engine]
    package: str = ""
    title: str = ""
    install: str = ""
    remote: bool = False

    @property
    def installed(self) -> bool:
        return not self.package or find_spec(self.package) is not None


def _transformers(options: EngineOptions) -> Engine:
    from guardapp.guard.engines.hf.hf_engine import HfEngine

    size: dict[str, Any] = {} if options.batch_size is None else {"batch_size": options.batch_size}
    return HfEngine(options.checkpoint, device=options.device, threads=options.threads, context=options.context, **size)


def _vllm(options: EngineOptions) -> Engine:
    import torch

    from guardapp.guard.engines.vllm import VllmEngine

    on_a_cpu = {} if torch.cuda.is_available() else ON_A_CPU
    shorter = {"max_model_len": options.context} if options.context else {}
    return VllmEngine(options.checkpoint, structured=options.structured, **{**on_a_cpu, **shorter})


def _server(options: EngineOptions) -> Engine:
    from guardapp.guard.engines.openai_server import OpenAIServerEngine

    size: dict[str, Any] = {} if options.batch_size is None else {"in_flight": min(MOST_IN_FLIGHT, options.batch_size)}
    return OpenAIServerEngine(
        options.checkpoint,
        options.urls,
        key=options.key,
        structured=options.structured,
        context=options.context,
        adapter=options.adapter,
        **size,
    )


ENGINES: Mapping[str, EngineKind] = {
    kind.name: kind
    for kind in (
        # in this process, on a CPU or GPU
        EngineKind("transformers", _transformers),
        # in this process, taking its GPUs entirely
        EngineKind("vllm", _vllm, package="vllm", title="vLLM", install="vllm 0.32"),
        # a server with OpenAI's API, such as `vllm serve`
        EngineKind("server", _server, remote=True),
    )
}


def engine_named(name: str) -> EngineKind:
    """Return the kind with this name. Raises EngineUnknown."""
    try:
        return ENGINES[name]
    except KeyError:
        raise EngineUnknown(f"engine={name!r} is not one of {', '.join(ENGINES)}.") from None


def engine_that_serves(urls: Sequence[str]) -> EngineKind:
    """Servers if any are configured, else a guard in the serving process."""
    return engine_named("server" if urls else "transformers")
