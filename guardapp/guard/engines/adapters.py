"""LoRA adapters that running servers of the base model load on request, e.g. `vllm serve --enable-lora`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardapp.guard.engines.http_servers import TRANSIENT, ServerRefused, Servers
from guardapp.guard.protocol import CheckpointNotUsable

# the adapter's folder inside the checkpoint that it is merged into
ADAPTER = "adapter"
CONFIG = "adapter_config.json"
# prefix of the names of all adapters loaded from here
OURS = "guardapp:"
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


@dataclass(frozen=True, slots=True)
class Adapter:
    """`folder` is a path that the servers see too; `base` is the checkpoint that they were started with."""

    version: str
    folder: str
    base: str

    @property
    def name(self) -> str:
        """The model name used in requests."""
        return f"{OURS}{self.version}"


def adapter_in(checkpoint: str) -> Path | None:
    """Return the adapter stored in a merged checkpoint; None if all weights were trained."""
    folder = Path(checkpoint) / ADAPTER
    return folder if (folder / CONFIG).exists() else None


def put_on(adapter: Adapter, servers: Servers) -> list[str]:
    """Return the addresses that serve the adapter, after loading it on servers of its base.

    Raises CheckpointNotUsable if no server has it.
    """
    took, said = [], []
    served = servers.models()
    for url, names in served.items():
        if adapter.name in names:
            took.append(url)
        elif adapter.base in names or Path(adapter.base).name in names:
            try:
                servers.ask(url, "POST", LOAD, {"lora_name": adapter.name, "lora_path": adapter.folder})
                took.append(url)
            except (*TRANSIENT, ServerRefused) as error:
                # another process may have been faster
                if adapter.name in servers.models().get(url, {}):
                    took.append(url)
                else:
                    said.append(str(error))
        else:
            said.append(f"{url} serves {', '.join(sorted(names))}")
    if not took:
        why = "; ".join(said) or f"none of {', '.join(servers.urls)} answers"
        raise CheckpointNotUsable(
            f"The adapter of {adapter.version} ({adapter.folder}) is not accepted by any server of its base "
            f"{adapter.base}: {why}. Start them with --enable-lora, --max-lora-rank of its rank and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, on machines that see that folder."
        )
    return took


def take_off(servers: Servers, keep: Collection[str]) -> list[str]:
    """Unload our adapters except those in `keep`, and return the unloaded names. Silent servers are skipped."""
    gone = []
    for url, names in servers.models().items():
        for name in sorted(set(names) - set(keep)):
            if name.startswith(OURS):
                try:
                    servers.ask(url, "POST", UNLOAD, {"lora_name": name})
                    gone.append(name)
                except (*TRANSIENT, ServerRefused):
                    pass
    return gone


def names_of(versions: Sequence[str]) -> set[str]:
    return {f"{OURS}{version}" for version in versions}
