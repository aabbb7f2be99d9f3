"""Load a guard checkpoint: a local folder or hub id of Qwen2.5-VL or Qwen3-VL, and no other model."""

from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from guardapp.guard.protocol import CheckpointNotUsable

FAMILIES = ("qwen2_5_vl", "qwen3_vl")


def check_checkpoint(checkpoint: str) -> Any:
    """Return the checkpoint's config. Raises CheckpointNotUsable, naming what was found instead."""
    if Path(checkpoint).is_dir() and not (Path(checkpoint) / "config.json").exists():
        raise CheckpointNotUsable(f"{checkpoint}: the folder has no config.json.")
    try:
        config = AutoConfig.from_pretrained(checkpoint)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointNotUsable(f"{checkpoint}: no readable checkpoint ({error}).") from error
    if config.model_type not in FAMILIES:
        raise CheckpointNotUsable(
            f"{checkpoint}: found a {config.model_type} model; a guard is one of {', '.join(FAMILIES)}."
        )
    return config


def load_processor(checkpoint: str) -> Any:
    """Load the tokenizer with the image and video processors. Raises CheckpointNotUsable."""
    check_checkpoint(checkpoint)
    try:
        return AutoProcessor.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        raise CheckpointNotUsable(f"{checkpoint}: the processor does not load ({error}).") from error


def load_model(checkpoint: str, *, dtype: torch.dtype) -> Any:
    """Load the model on the CPU. Raises CheckpointNotUsable."""
    check_checkpoint(checkpoint)
    try:
        return AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=dtype, attn_implementation="sdpa")
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointNotUsable(f"{checkpoint}: the weights do not load ({error}).") from error


def end_token_ids(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a completion: the tokenizer's and those named by the checkpoint."""
    named = model.generation_config.eos_token_id
    ids = named if isinstance(named, list) else [named]
    return sorted({tokenizer.eos_token_id, *(identifier for identifier in ids if identifier is not None)})
