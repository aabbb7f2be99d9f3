"""The untrained starter guard: tokenizer, processor and a Qwen3-VL of about seven million parameters.

The architecture is the real one (`Qwen3VLForConditionalGeneration`) at a small size, so that every stage of the product
runs on it unchanged. Source of the layout: the Qwen3-VL configuration classes of transformers 5.19.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Qwen2Tokenizer,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from guardapp.guard.prompting import INSTRUCTION, USER_ROLE_LINE
from training.starter.reasoning import PHRASES

VOCABULARY = 8192  # entries, including special tokens
CONTEXT_TOKENS = 8192
# pixels per patch side, patches merged per side, frames per patch
PATCH, MERGE, TEMPORAL_PATCH = 16, 2, 2
IMAGE_PIXELS = (32 * 32, 256 * 256)  # minimum and maximum pixels of an image
FRAME_PIXELS = (32 * 32, 128 * 128)  # minimum and maximum pixels of a video frame
MAX_FRAMES = 16

EMBEDDING_SPREAD = 0.12  # standard deviation of the untrained embedding

INTO_RESIDUAL = ("o_proj.weight", "down_proj.weight", "attn.proj.weight", "fc2.weight")
END, PAD = "<|im_end|>", "<|endoftext|>"
SPECIAL = (
    PAD,
    "<|im_start|>",
    END,
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# Fixed text of every prompt and completion. As whole tokens it takes a few positions instead of over a hundred, which
# makes training on one core affordable. The tokens are plain, not special, so that decoding keeps them.
FIXED_TEXT = (
    "<think>",
    "</think>",
    "<result>",
    "</result>",
    *(f"{line}\n\n" for line in INSTRUCTION.split("\n\n")[:-1]),
    INSTRUCTION.split("\n\n")[-1],
    USER_ROLE_LINE,
    "\n\nAI assistant:\n",
    *PHRASES,
)
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def train_tokenizer(texts: Iterable[str]) -> Qwen2Tokenizer:
    """Train a byte-level BPE of VOCABULARY entries, split by Qwen's expression; no text is out of vocabulary."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    size = VOCABULARY - len(SPECIAL) - len(FIXED_TEXT)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False))
    learnt = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learnt["vocab"],
        merges=[tuple(pair) for pair in learnt["merges"]],
        eos_token=END,
        pad_token=PAD,
        unk_token=None,
    )
    known = tokenizer.get_added_vocab()
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL if text not in known])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in FIXED_TEXT])
    tokenizer.add_special_tokens({"additional_special_tokens": [text for text in SPECIAL if text not in (END, PAD)]})
    tokenizer.padding_side = "left"
    tokenizer.model_max_length = CONTEXT_TOKENS
    tokenizer.chat_template = CHAT_TEMPLATE.read_text(encoding="utf-8")
    return tokenizer


def build_processor(tokenizer: Qwen2Tokenizer) -> Qwen3VLProcessor:
    """Combine tokenizer, image and video processor. Frames arrive already sampled (`do_sample_frames=False`)."""
    half = [0.5, 0.5, 0.5]
    image = Qwen2VLImageProcessor(
        patch_size=PATCH,
        temporal_patch_size=TEMPORAL_PATCH,
        merge_size=MERGE,
        image_mean=half,
        image_std=half,
        size={"shortest_edge": IMAGE_PIXELS[0], "longest_edge": IMAGE_PIXELS[1]},
    )
    video = Qwen3VLVideoProcessor(
        patch_size=PATCH,
        temporal_patch_size=TEMPORAL_PATCH,
        merge_size=MERGE,
        image_mean=half,
        image_std=half,
        size={"shortest_edge": TEMPORAL_PATCH * FRAME_PIXELS[0], "longest_edge": MAX_FRAMES * FRAME_PIXELS[1]},
        fps=2,
        min_frames=1,
        max_frames=MAX_FRAMES,
        do_sample_frames=False,
        cap_pixels_per_frame=False,
    )
    return Qwen3VLProcessor(
        image_processor=image, tokenizer=tokenizer, video_processor=video, chat_template=tokenizer.chat_template
    )


def build_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen3VLForConditionalGeneration:
    """Create a model with random float32 weights and tied embeddings, determined by the seed."""
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 256,
            "intermediate_size": 704,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": CONTEXT_TOKENS,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e5,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "bos_token_id": token(PAD),
            "eos_token_id": token(END),
            "pad_token_id": token(PAD),
        },
        vision_config={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_heads": 4,
            "patch_size": PATCH,
            "temporal_patch_size": TEMPORAL_PATCH,
            "spatial_merge_size": MERGE,
            "out_hidden_size": 256,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [2],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    _spread_weights(model)
    model.generation_config = GenerationConfig(
        eos_token_id=token(END),
        pad_token_id=token(PAD),
        bos_token_id=token(PAD),
        do_sample=False,
    )
    return model


@torch.no_grad()  # type: ignore[untyped-decorator]
def _spread_weights(model: Qwen3VLForConditionalGeneration) -> None:
    """Initialise the weights wider than the library's 0.02, which suits wide models and small learning rates.

    Adam moves every entry by about the learning rate per step, including those of rare words, all in one direction:
    starting from 0.02, their embeddings soon become similar, and the guard cannot tell words apart. Matrices get unit
    gain, reduced by the depth for those that write into the residual stream; the last norm keeps the logits small.
    """
    for tower, depth in (
        (model.model.language_model, model.config.text_config.num_hidden_layers),
        (model.model.visual, model.config.vision_config.depth),
    ):
        for name, parameter in tower.named_parameters():
            if parameter.dim() >= 2 and "embed" not in name:
                gain = (2 * depth) ** -0.5 if name.endswith(INTO_RESIDUAL) else 1.0
                parameter.normal_(0.0, gain * parameter[0].numel() ** -0.5)
    model.get_input_embeddings().weight.normal_(0.0, EMBEDDING_SPREAD)
    model.model.language_model.norm.weight.fill_(0.02 / EMBEDDING_SPREAD * 2)


def parameters(model: torch.nn.Module) -> int:
    """The number of distinct parameters; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())
