"""The rollouts in use, in a checkpoint: tensors by safetensors, the rest in its header as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def save_rollouts(
    path: Path, passes: Sequence[Mapping[str, torch.Tensor]], metrics: Mapping[str, float], drawn: int
) -> None:
    """`passes`: the tensors of each forward pass by name."""
    # safetensors wants each tensor in storage of its own
    tensors = {
        f"{number}/{name}": tensor.detach().cpu().clone().contiguous()
        for number, of_pass in enumerate(passes)
        for name, tensor in of_pass.items()
    }
    about = {"passes": len(passes), "metrics": dict(metrics), "drawn": drawn}
    save_file(tensors, path, metadata={"about": json.dumps(about)})


def load_rollouts(path: Path, device: torch.device) -> tuple[list[dict[str, torch.Tensor]], dict[str, float], int]:
    """What was given to `save_rollouts`."""
    with safe_open(path, framework="pt", device=str(device)) as saved:
        about = json.loads(saved.metadata()["about"])
        passes: list[dict[str, torch.Tensor]] = [{} for _ in range(about["passes"])]
        for key in saved.keys():  # noqa: SIM118  (it is no mapping)
            number, _, name = key.partition("/")
            passes[int(number)][name] = saved.get_tensor(key)
    return passes, about["metrics"], about["drawn"]
