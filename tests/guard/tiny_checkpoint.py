"""Tiny random Qwen3-VL and Qwen2.5-VL checkpoints (well under a million parameters), and media and samples for them."""

import json
from pathlib import Path
from typing import Any, Literal

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from PIL import Image
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.prompting import INSTRUCTION
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, Sample, SeenMedia

Family = Literal["qwen3_vl", "qwen2_5_vl"]
VOCABULARY = 640
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# The same rendering as the released checkpoints' templates for system and user turns of text and media parts.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part.type == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
COMPLETION = (
    "<think>\nThe person asks how to {topic}. That is {label}.\n</think>\n"
    "<result>\nRequest: {label}\nResponse: None\n</result>"
)


def build_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer of the Qwen shape; " harmful" is one token and " unharmful" starts with another."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    corpus = [
        INSTRUCTION,
        *(COMPLETION.format(topic="bake bread", label=label) for label in ("harmful", "unharmful")),
    ] * 20
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - len(SPECIAL),
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    learned = json.loads(tokenizer.to_str())["model"]
    result = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
    )
    result.add_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token in SPECIAL
            if token not in result.get_added_vocab()
        ]
    )
    result.chat_template = CHAT_TEMPLATE
    return result


def build_engine(folder: Path, family: Family) -> HfEngine:
    """On the CPU. Fresh layers only echo the last token: louder ones make answers depend on the whole prompt."""
    engine = HfEngine(str(build_checkpoint(folder, family)), device="cpu", threads=1)
    with torch.no_grad():
        for parameter in engine.model.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return engine


def build_checkpoint(folder: Path, family: Family = "qwen3_vl", *, seed: int = 0) -> Path:
    """Write a random checkpoint with processor and generation config into `folder`."""
    tokenizer = build_tokenizer()
    identifier = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    patch = 16 if family == "qwen3_vl" else 14
    shared: dict[str, Any] = {
        "image_token_id": identifier["<|image_pad|>"],
        "video_token_id": identifier["<|video_pad|>"],
        "vision_start_token_id": identifier["<|vision_start|>"],
        "vision_end_token_id": identifier["<|vision_end|>"],
        "tie_word_embeddings": True,
    }
    text: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "eos_token_id": identifier["<|im_end|>"],
        "pad_token_id": identifier["<|endoftext|>"],
        "bos_token_id": identifier["<|endoftext|>"],
        "tie_word_embeddings": True,
    }
    processors: dict[str, Any] = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2}
    images = Qwen2VLImageProcessor(**processors, size={"shortest_edge": 4096, "longest_edge": 65536})
    torch.manual_seed(seed)
    model: Any
    processor: Any
    if family == "qwen3_vl":
        rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
        model = Qwen3VLForConditionalGeneration(
            Qwen3VLConfig(
                **shared,
                text_config=text | {"rope_parameters": rope},
                vision_config={
                    "depth": 2,
                    "hidden_size": 32,
                    "intermediate_size": 64,
                    "num_heads": 2,
                    "patch_size": patch,
                    "out_hidden_size": 64,
                    "num_position_embeddings": 64,
                    "deepstack_visual_indexes": [0],
                },
            )
        )
        videos = Qwen3VLVideoProcessor(**processors, cap_pixels_per_frame=False)
        processor = Qwen3VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE)
    else:
        rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
        model = Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(
                **shared,
                text_config=text | {"rope_parameters": rope},
                vision_config={
                    "depth": 2,
                    "hidden_size": 32,
                    "intermediate_size": 64,
                    "num_heads": 2,
                    "patch_size": patch,
                    "out_hidden_size": 64,
                    "window_size": 56,
                    "fullatt_block_indexes": [1],
                },
            )
        )
        processor = Qwen2_5_VLProcessor(
            images, tokenizer, Qwen2VLVideoProcessor(**processors), chat_template=CHAT_TEMPLATE
        )
    model.generation_config = GenerationConfig(
        eos_token_id=identifier["<|im_end|>"], pad_token_id=identifier["<|endoftext|>"]
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_frame(path: Path, colour: tuple[int, int, int], side: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)
    return path


def text_sample(number: int = 0) -> Sample:
    return Sample(id=f"text-{number}", prompt="How do I bake bread?" + " Please." * number)


def image_sample(folder: Path, *, side: int = 64) -> Sample:
    frame = Frame(write_frame(folder / "image.png", (200, 30, 30), side))
    return Sample(
        id="image", prompt="What is this?", response="A red square.", media=(SeenMedia(MediaKind.IMAGE, (frame,)),)
    )


def video_sample(folder: Path, *, side: int = 64, times: tuple[float, ...] = (0.0, 0.52, 1.0, 1.5)) -> Sample:
    frames = tuple(
        Frame(write_frame(folder / f"video-{number}.png", (10, 60 * number % 255, 200), side), time)
        for number, time in enumerate(times)
    )
    return Sample(id="video", prompt="Describe it.", media=(SeenMedia(MediaKind.VIDEO, frames, fps=2.0),))
