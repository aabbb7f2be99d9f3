"""Larger untrained guards of the starter's architecture, with the starter's tokenizer and processor."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers import Qwen3VLForConditionalGeneration

from training.starter.architecture import build_model, build_processor, parameters


@dataclass(frozen=True, slots=True)
class Size:
    """The dimensions that differ from the starter's; heads stay 64 wide, so that the rotary layout still fits."""

    layers: int
    width: int
    inner: int
    heads: int
    vision_layers: int
    vision_width: int


SIZES = {
    "toy": Size(layers=2, width=128, inner=256, heads=2, vision_layers=3, vision_width=64),
    "mid": Size(layers=16, width=1024, inner=2816, heads=16, vision_layers=12, vision_width=512),
    "large": Size(layers=24, width=1536, inner=4096, heads=24, vision_layers=16, vision_width=768),
}


def write_base(tokenizer: Any, size: Size, folder: Path, seed: int) -> int:
    """Write random weights with their processor, loadable by the jobs, and return the number of parameters."""
    starter = build_model(tokenizer, seed)
    config = copy.deepcopy(starter.config)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = size.width, size.inner, size.layers
    text.num_attention_heads, text.num_key_value_heads = size.heads, max(1, size.heads // 2)
    vision.hidden_size, vision.intermediate_size, vision.depth = (
        size.vision_width,
        3 * size.vision_width,
        size.vision_layers,
    )
    vision.num_heads, vision.out_hidden_size = max(2, size.vision_width // 64), size.width
    vision.deepstack_visual_indexes = [size.vision_layers // 2]
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = starter.generation_config
    model.save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)
    return parameters(model)
