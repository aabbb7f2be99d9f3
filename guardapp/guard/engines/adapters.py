"""A trained adapter (LoRA) that servers of its base model take while they run, `vllm serve --enable-lora` among
them.
"""

import http.client
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardapp.guard.engine import CheckpointNotUsable
from guardapp.guard.engines.http_servers import TRANSIENT, ServerRefused, Servers, exchange

ADAPTER = "adapter"  # folder of the adapter inside a checkpoint that it is merged into
CONFIG = "adapter_config.json"
OURS = "guardapp:"  # how the names of all adapters begin that are loaded from here
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


@dataclass(frozen=True, slots=True)
class Adapter:
    """`folder` as the servers see it too; `base` is the checkpoint that they were started with."""

    version: str
    folder: str
    base: str

    @property
    def name(self) -> str:
        """What requests ask for."""
        return f"{OURS}{self.version}"


def adapter_in(checkpoint: str) -> Path | None:
    """The adapter that training left inside a merged checkpoint; None where it trained all weights."""
    folder = Path(checkpoint) / ADAPTER
    return folder if (folder / CONFIG).exists() else None


def put_on(adapter: Adapter, servers: Servers) -> list[str]:
    """The addresses that serve the adapter now; it is loaded where only its base is. Raises CheckpointNotUsable where
    none does.
    """
    took, said = [], []
    served = servers.models()
    for url, names in served.items():
        if adapter.name in names:
            took.append(url)
        elif adapter.base in names or Path(adapter.base).name in names:
            try:
                exchange(
                    url,
                    "POST",
                    LOAD,
                    {"lora_name": adapter.name, "lora_path": adapter.folder},
                    timeout_s=servers.timeout_s,
                    key=servers.key,
                )
                took.append(url)
            except (OSError, http.client.HTTPException, *TRANSIENT, ServerRefused) as error:
                if adapter.name in servers.models().get(url, {}):  # another process was faster
                    took.append(url)
                else:
                    said.append(str(error))
        else:
            said.append(f"{url} serves {', '.join(sorted(names))}")
    if not took:
        why = "; ".join(said) or f"none of {', '.join(servers.urls)} answers"
        raise CheckpointNotUsable(
            f"The adapter of {adapter.version} ({adapter.folder}) is taken by no server of its base {adapter.base}: "
            f"{why}. Start them with --enable-lora, --max-lora-rank of its rank and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, on machines that see that folder."
        )
    return took


def take_off(servers: Servers, keep: Collection[str]) -> list[str]:
    """Unload all adapters of ours but those in `keep`; their names. A server that does not answer keeps them."""
    gone = []
    for url, names in servers.models().items():
        for name in sorted(set(names) - set(keep)):
            if name.startswith(OURS):
                try:
                    exchange(url, "POST", UNLOAD, {"lora_name": name}, timeout_s=servers.timeout_s, key=servers.key)
                    gone.append(name)
                except (OSError, http.client.HTTPException, *TRANSIENT, ServerRefused):
                    pass
    return gone


def names_of(versions: Sequence[str]) -> set[str]:
    return {f"{OURS}{version}" for version in versions}
