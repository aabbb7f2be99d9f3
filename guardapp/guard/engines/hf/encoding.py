"""Sample → model inputs, shared by the engine, supervised fine-tuning and evaluation.

`encode` turns one sample into unpadded tensors; `collate` pads several into one batch, on the left for generation and
on the right for training. Prompt and completion are tokenized separately, so that training sees exactly the token
boundary from which generation starts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from guardapp.guard.engines.hf.video_clock import MILLISECONDS, clock_of
from guardapp.guard.prompting import INSTRUCTION, USER_ROLE_LINE, chat_messages, harmless, without_control_tokens
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Sample, SeenMedia

# rough estimates, used only to group samples of similar length
CHARACTERS_A_TOKEN = 4
TOKENS_A_FRAME = 64
TOKENS_A_TIME = 20  # at most, of "<12.3 seconds>" and the marks around a pair of frames
PIXEL_KEYS = ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw", "second_per_grid_ts")


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """The wording of the prompt that differs between releases; the default is that of Omni and VL."""

    instruction: str = INSTRUCTION
    role_line: str = USER_ROLE_LINE


DEFAULT_STYLE = PromptStyle()


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample, not padded.

    `input_ids` and `media_types` have shape (tokens,); media_types is 0 for text, 1 for image and 2 for video
    placeholders. `pixels` holds the vision inputs under the model's own argument names, patches first. The first
    `prompt_tokens` tokens are the prompt, the rest the completion (or a forced prefix).
    """

    input_ids: torch.Tensor
    media_types: torch.Tensor
    pixels: dict[str, torch.Tensor]
    prompt_tokens: int

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in (self.input_ids, self.media_types, *self.pixels.values()))


def render_prompt(processor: Any, sample: Sample, style: PromptStyle = DEFAULT_STYLE) -> str:
    """Return the prompt text up to the start of the completion, with one placeholder per image or video."""
    messages = chat_messages(harmless(sample), instruction=style.instruction, role_line=style.role_line)
    text: str = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text


def encode(
    processor: Any,
    sample: Sample,
    completion: str | None = None,
    *,
    end: bool = True,
    style: PromptStyle = DEFAULT_STYLE,
) -> Encoded:
    """Encode one sample and, if given, its completion.

    `end` adds the end-of-turn token; set it to False for a prefix. Raises OSError if a frame file cannot be read.
    """
    prompt = _encoded_prompt(processor, render_prompt(processor, sample, style), sample.media)
    return prompt if completion is None else followed_by(prompt, completion_ids(processor, completion, end=end))


def _encoded_prompt(processor: Any, text: str, media: Sequence[SeenMedia]) -> Encoded:
    # the same ids in a quarter of the processor's time
    if not media:
        ids = torch.tensor(processor.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.long)
        return Encoded(ids, torch.zeros_like(ids), {}, len(ids))
    inputs = processor(
        text=[text], padding=False, add_special_tokens=False, return_tensors="pt", **_media_arguments(processor, media)
    )
    pixels = {key: torch.as_tensor(inputs[key]) for key in PIXEL_KEYS if key in inputs}
    return Encoded(inputs["input_ids"][0], inputs["mm_token_type_ids"][0], pixels, len(inputs["input_ids"][0]))


def followed_by(prompt: Encoded, target: torch.Tensor) -> Encoded:
    """Append the token ids of a completion, shape (tokens,), to a prompt. Pixels are shared, not copied."""
    return replace(
        prompt,
        input_ids=torch.cat([prompt.input_ids, target]),
        media_types=torch.cat([prompt.media_types, torch.zeros_like(target)]),
    )


def completion_ids(processor: Any, completion: str, *, end: bool = True) -> torch.Tensor:
    """Return the token ids of a completion, shape (tokens,), tokenized separately from its prompt."""
    tokenizer = processor.tokenizer
    ids = tokenizer(without_control_tokens(completion), add_special_tokens=False)["input_ids"]
    return torch.tensor([*ids, tokenizer.eos_token_id] if end else ids, dtype=torch.long)


def collate(rows: Sequence[Encoded], *, pad_token_id: int, side: Literal["left", "right"]) -> dict[str, torch.Tensor]:
    """Pad rows to the longest: token tensors of shape (rows, tokens), and the patches of all rows concatenated."""
    width = max(len(row) for row in rows)

    def padded(values: Sequence[torch.Tensor], filler: int) -> torch.Tensor:
        batch = torch.full((len(values), width), filler, dtype=torch.long)
        for line, value in zip(batch, values, strict=True):
            line[slice(width - len(value), None) if side == "left" else slice(len(value))] = value
        return batch

    batch = {
        "input_ids": padded([row.input_ids for row in rows], pad_token_id),
        "attention_mask": padded([torch.ones_like(row.input_ids) for row in rows], 0),
        "mm_token_type_ids": padded([row.media_types for row in rows], 0),
    }
    for key in PIXEL_KEYS:
        parts = [row.pixels[key] for row in rows if key in row.pixels]
        if parts:
            batch[key] = torch.cat(parts)
    return batch


def prompt_tokens(processor: Any, sample: Sample, style: PromptStyle = DEFAULT_STYLE) -> int:
    """Count the prompt's tokens: its text by the tokenizer, its media by the sizes of their frames.

    Frames are taken to have the sizes that the processor keeps, as those of a media preset have. A video may have a few
    tokens less than counted. Only the headers of the frame files are read. Raises OSError if one cannot be.
    """
    text = render_prompt(processor, sample, style)
    # a batch releases Python's lock, and its fast form computes no offsets: other threads go on beside a long text
    [encoding] = processor.tokenizer.backend_tokenizer.encode_batch_fast([text], add_special_tokens=False)
    return len(encoding) + sum(_medium_tokens(processor, medium) for medium in sample.media)


def estimated_tokens(sample: Sample) -> int:
    """Estimate the prompt's length without its tokenizer or files; used only for sorting.

    Small vocabularies write letters beyond ASCII byte by byte.
    """
    text = "".join([*(one.text for one in sample.context), sample.prompt, sample.response or ""])
    beyond_ascii = len(text.encode("utf-8", "replace")) - len(text)
    frames = sum(len(medium.frames) for medium in sample.media)
    return len(text) // CHARACTERS_A_TOKEN + beyond_ascii + TOKENS_A_FRAME * frames


def _medium_tokens(processor: Any, medium: SeenMedia) -> int:
    """Tokens of one image or video: one per merged patch, and for a video per pair of frames."""
    is_video = medium.kind is MediaKind.VIDEO
    component = processor.video_processor if is_video else processor.image_processor
    side = int(component.patch_size) * int(component.merge_size)
    with Image.open(medium.frames[0].path) as frame:
        width, height = frame.size
    pairs = math.ceil(len(medium.frames) / int(component.temporal_patch_size)) if is_video else 1
    return pairs * (math.ceil(width / side) * math.ceil(height / side) + (TOKENS_A_TIME if is_video else 0))


def _media_arguments(processor: Any, media: Sequence[SeenMedia]) -> dict[str, Any]:
    """The processor's media arguments. Frames are already sampled and resized, so it must do neither again."""
    images = [load_frames(medium)[0] for medium in media if medium.kind is MediaKind.IMAGE]
    videos = [(medium, load_frames(medium)) for medium in media if medium.kind is MediaKind.VIDEO]
    arguments: dict[str, Any] = {}
    if images:
        arguments["images"] = [images]
        arguments["images_kwargs"] = {"do_resize": not _fit(processor.image_processor, images)}
    if videos:
        arguments["videos"] = [_as_tensor(frames) for _, frames in videos]
        arguments["videos_kwargs"] = {
            "do_resize": not _fit(processor.video_processor, [frame for _, frames in videos for frame in frames]),
            "do_sample_frames": False,
            "cap_pixels_per_frame": False,
            "video_metadata": [_metadata(medium) for medium, _ in videos],
        }
    return arguments


def load_frames(medium: SeenMedia) -> list[Image.Image]:
    frames = []
    for frame in medium.frames:
        with Image.open(frame.path) as opened:
            frames.append(opened.convert("RGB"))
    return frames


def _as_tensor(frames: Sequence[Image.Image]) -> torch.Tensor:
    """Stack frames into shape (frames, 3, height, width), uint8."""
    flat = [torch.frombuffer(bytearray(frame.tobytes()), dtype=torch.uint8) for frame in frames]
    return (
        torch.stack([values.view(frame.height, frame.width, 3) for values, frame in zip(flat, frames, strict=True)])
        .permute(0, 3, 1, 2)
        .contiguous()
    )


def _fit(media_processor: Any, frames: Sequence[Image.Image]) -> bool:
    """Whether both sides of every frame are multiples of patch x merge, as the media preset makes them."""
    multiple = media_processor.patch_size * media_processor.merge_size
    return all(side % multiple == 0 for frame in frames for side in frame.size)


def _metadata(medium: SeenMedia) -> VideoMetadata:
    clock = clock_of(medium)
    return VideoMetadata(
        total_num_frames=clock.total_frames,
        fps=float(MILLISECONDS),
        duration=clock.duration_s,
        frames_indices=list(clock.indices),
    )
