"""Load a guard checkpoint: a local folder or hub id of Qwen2.5-VL or Qwen3-VL, and no other model.

A checkpoint runs no code: weights are safetensors, and code beside them is never loaded.
"""

import json
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from guardapp.guard.protocol import CheckpointNotUsable

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
NO_CODE = {"trust_remote_code": False}
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack")
# of config.json, tokenizer files, templates: what a reader holds in memory whole
MOST_TEXT_BYTES = 64 << 20
MOST_TEMPLATE_BYTES = 256 << 10
# of the whole numbers in a configuration: sizes and counts of layers, above those of any released guard
LARGEST_NUMBER = 100_000_000
MOST_LAYERS, LARGEST_SIZE, LARGEST_VOCABULARY = 1_000, 1 << 17, 1 << 20


def check_checkpoint(checkpoint: str) -> Any:
    """Return the checkpoint's config. Raises CheckpointNotUsable, naming what was found instead."""
    if Path(checkpoint).is_dir():
        check_folder(Path(checkpoint))
    try:
        config = AutoConfig.from_pretrained(checkpoint, **NO_CODE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointNotUsable(f"{checkpoint}: no readable checkpoint ({error}).") from error
    if config.model_type not in FAMILIES:
        raise CheckpointNotUsable(
            f"{checkpoint}: found a {config.model_type} model; a guard is one of {', '.join(FAMILIES)}."
        )
    return config


def check_folder(folder: Path) -> None:
    """Check a checkpoint's files before any of them is read by a library. Raises CheckpointNotUsable."""
    if not (folder / "config.json").exists():
        raise CheckpointNotUsable(f"{folder}: the folder has no config.json.")
    for pattern in PICKLES:
        for found in folder.glob(pattern):
            raise CheckpointNotUsable(f"{folder}: {found.name} is not safetensors, and could run code. Remove it.")
    for path in folder.glob("*"):
        limit = MOST_TEMPLATE_BYTES if path.suffix == ".jinja" else MOST_TEXT_BYTES
        if path.suffix in (".json", ".jinja", ".txt", ".model") and path.stat().st_size > limit:
            raise CheckpointNotUsable(
                f"{folder}: {path.name} has {path.stat().st_size:,} bytes, the limit is {limit:,}."
            )
    try:
        _check_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointNotUsable(f"{folder}: config.json cannot be used ({str(error)[:300]}).") from error


def _check_config(config: Any) -> None:
    """Raises ValueError, naming what is no guard's."""
    if not isinstance(config, dict):
        raise ValueError("it is not an object")
    todo: list[tuple[str, Any]] = list(config.items())
    while todo:
        name, value = todo.pop()
        if name == "auto_map":
            raise ValueError("auto_map names code of its own")
        most = _limit(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not -most <= value <= most:
            raise ValueError(f"{name} is {value}, beyond {most:,}")
        if isinstance(value, dict):
            todo += value.items()
        elif isinstance(value, list):
            todo += [(name, inner) for inner in value]


def _limit(name: str) -> int:
    if "layers" in name or "heads" in name or name == "depth":
        return MOST_LAYERS
    if name == "vocab_size":
        return LARGEST_VOCABULARY
    return LARGEST_SIZE if name.endswith(("size", "dim")) else LARGEST_NUMBER


def load_processor(checkpoint: str) -> Any:
    """Load the tokenizer with the image and video processors. Raises CheckpointNotUsable."""
    check_checkpoint(checkpoint)
    try:
        return AutoProcessor.from_pretrained(checkpoint, **NO_CODE)
    except Exception as error:
        raise CheckpointNotUsable(f"{checkpoint}: the processor does not load ({error}).") from error


def load_model(checkpoint: str, *, dtype: torch.dtype) -> Any:
    """Load the model on the CPU. Raises CheckpointNotUsable."""
    check_checkpoint(checkpoint)
    try:
        return AutoModelForImageTextToText.from_pretrained(
            checkpoint, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, **NO_CODE
        )
    except Exception as error:
        raise CheckpointNotUsable(f"{checkpoint}: the weights do not load ({error}).") from error


def end_token_ids(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a completion: the tokenizer's and those named by the checkpoint."""
    named = model.generation_config.eos_token_id
    ids = named if isinstance(named, list) else [named]
    return sorted({tokenizer.eos_token_id, *(identifier for identifier in ids if identifier is not None)})
