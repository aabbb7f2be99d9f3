"""Estimate a training's memory per device: the sum of known parts, and a rule of thumb for activations.

| part          | bytes                                                                                          |
|---------------|------------------------------------------------------------------------------------------------|
| weights       | 4 per parameter (float32 master weights, frozen ones too), and 2 more with bf16                |
| gradients     | 4 per trained parameter, and 4 more with ddp (the buckets for averaging)                       |
| AdamW moments | 8 per trained parameter                                                                        |
| activations   | 34 · hidden size per token and layer in 16 bits, twice that in 32 (attention scores not kept)  |
|               | with gradient checkpointing: each layer's input, and one whole layer                           |
| logits        | 12 per vocabulary entry and completion position (logits, softmax, gradient)                    |

fsdp and zero3 shard weights, gradients and moments over the processes, zero2 gradients and moments.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from training.contract import MineConfig, SftConfig
from training.learning.lora import LORA_TARGETS
from training.recipes import Config
from training.recipes.launch import Launch

ACTIVATION_BYTES = 34
LOGIT_BYTES = 12
# of a row's tokens, if only the row's length is known
COMPLETION_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The dimensions of a guard, read from its files without loading it."""

    parameters: int
    vision_parameters: int
    # (rows, columns) of the layers that LoRA adapts
    adaptable: tuple[tuple[int, int], ...]
    hidden: int
    layers: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes per device."""

    weights: int
    gradients: int
    moments: int
    activations: int
    logits: int
    trained_parameters: int
    parameters: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.moments + self.activations + self.logits


def read_checkpoint(folder: str) -> Checkpoint | None:
    """Read the dimensions; None for a hub id, or if the files do not contain them."""
    path = Path(folder)
    try:
        config = json.loads((path / "config.json").read_text())
        shapes = dict(_shapes(path))
    except (OSError, ValueError, struct.error):
        return None
    text = config.get("text_config", config)
    if not shapes or "hidden_size" not in text:
        return None
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    return Checkpoint(
        parameters=sum(sizes.values()),
        vision_parameters=sum(size for name, size in sizes.items() if "visual" in name),
        adaptable=tuple(
            (shape[0], shape[1])
            for name, shape in shapes.items()
            if len(shape) == 2 and re.fullmatch(LORA_TARGETS, name.removesuffix(".weight"))
        ),
        hidden=text["hidden_size"],
        layers=text["num_hidden_layers"],
        vocabulary=text["vocab_size"],
    )


def _shapes(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of the weights, from the JSON headers of the safetensors files.

    Each file starts with the length of its header.
    """
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header: dict[str, Any] = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        yield from ((name, entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def estimate(config: Config, checkpoint: Checkpoint, launch: Launch, *, longest: int) -> Memory | None:
    """Estimate a training's memory; None for a mining, which runs in an engine.

    `longest` is the number of tokens of the longest row used.
    """
    if isinstance(config, MineConfig):
        return None
    trained = _trained(config, checkpoint)
    weights, gradients, moments = 4 * checkpoint.parameters, 4 * trained, 8 * trained
    if config.bf16:
        weights += 2 * checkpoint.parameters
    if launch.strategy == "ddp":
        gradients *= 2
    if launch.strategy in ("fsdp", "zero3"):
        weights //= launch.processes
    if launch.strategy in ("fsdp", "zero2", "zero3"):
        gradients, moments = gradients // launch.processes, moments // launch.processes
    rows, tokens, completion = _batch(config, longest)
    return Memory(
        weights,
        gradients,
        moments,
        rows * tokens * _activation_bytes(config, checkpoint),
        rows * completion * checkpoint.vocabulary * LOGIT_BYTES,
        trained,
        checkpoint.parameters,
    )


def _trained(config: Any, checkpoint: Checkpoint) -> int:
    if config.lora_rank:
        return sum(config.lora_rank * (rows + columns) for rows, columns in checkpoint.adaptable)
    return checkpoint.parameters - (checkpoint.vision_parameters if config.freeze_vision else 0)


def _batch(config: Any, longest: int) -> tuple[int, int, int]:
    """(rows per forward pass, tokens per row, completion tokens among them), for the longest rows."""
    # with sampled completions
    if hasattr(config, "max_new_tokens"):
        return config.micro_batch, longest + config.max_new_tokens, config.max_new_tokens
    completion = max(1, round(longest * COMPLETION_SHARE))
    # a pair is two rows
    return config.batch_size * (1 if isinstance(config, SftConfig) else 2), longest, completion


def _activation_bytes(config: Any, checkpoint: Checkpoint) -> int:
    width = 1 if config.bf16 else 2
    layer = ACTIVATION_BYTES * checkpoint.hidden * width
    if config.gradient_checkpointing:
        return layer + 2 * width * checkpoint.hidden * checkpoint.layers
    return layer * checkpoint.layers
