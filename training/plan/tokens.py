"""Lengths of rows in tokens, without torch: by the checkpoint's tokenizer if available, else estimated.

Images and frames are measured by their file headers: one token per square of patch size × merge size.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image

from guardapp.guard.prompting import chat_messages
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Sample, SeenMedia

try:
    import tokenizers
except ImportError:
    # a web server without the training packages estimates
    tokenizers = None  # type: ignore[assignment]

CHARACTERS_A_TOKEN = 4
GUESSED_FRAME_TOKENS = 64
# the text and delimiters around one group of frames
TIMESTAMP_TOKENS = 8
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class MediaUnits:
    """How images and frames become tokens.

    A frame whose sides are not multiples of `square` is resized to the pixel limits.
    """

    square: int = 0  # side in pixels of the square for one token; 0 if unknown
    frames_together: int = 2
    least: float = 0  # pixels
    most: float = float("inf")

    def frame(self, width: int, height: int) -> int:
        if width % self.square == 0 and height % self.square == 0:
            return width * height // self.square**2
        pixels = min(max(width * height, self.least), self.most)
        return max(1, round(pixels / self.square**2))


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """A counter of tokens. `measured`: with the checkpoint's tokenizer; otherwise by the number of characters."""

    tokenizer: Any | None = None
    image: MediaUnits = MediaUnits()
    video: MediaUnits = MediaUnits()

    @property
    def measured(self) -> bool:
        return self.tokenizer is not None

    @classmethod
    def of(cls, checkpoint: str) -> "TokenCounter":
        """The counter of a checkpoint folder; it estimates for a hub id or a folder without a tokenizer."""
        folder = Path(checkpoint)
        path = folder / "tokenizer.json"
        tokenizer = tokenizers.Tokenizer.from_file(str(path)) if tokenizers is not None and path.exists() else None
        return cls(tokenizer, _media_units(folder, "image_processor"), _media_units(folder, "video_processor"))

    def text(self, words: str) -> int:
        if self.tokenizer is None:
            return ceil(len(words) / CHARACTERS_A_TOKEN)
        return len(self.tokenizer.encode(words, add_special_tokens=False).ids)

    def prompt(self, sample: Sample) -> int:
        messages = "".join(
            f"<|im_start|>{message['role']}\n{''.join(part.get('text', '') for part in message['content'])}<|im_end|>\n"
            for message in chat_messages(sample)
        )
        return self.text(messages + "<|im_start|>assistant\n") + sum(self.media(medium) for medium in sample.media)

    def completion(self, words: str) -> int:
        # plus the end-of-turn token
        return self.text(words) + 1

    def longest(self, completions: Iterable[str]) -> int:
        return max((self.completion(words) for words in completions), default=0)

    def media(self, medium: SeenMedia) -> int:
        if medium.kind is MediaKind.IMAGE:
            return _frame_tokens(medium, self.image) + 2
        groups = ceil(len(medium.frames) / self.video.frames_together)
        return groups * (_frame_tokens(medium, self.video) + TIMESTAMP_TOKENS)


def _frame_tokens(medium: SeenMedia, units: MediaUnits) -> int:
    """Tokens of one frame; all frames of a clip have the same size."""
    if not units.square:
        return GUESSED_FRAME_TOKENS
    try:
        with Image.open(medium.frames[0].path) as picture:
            return units.frame(*picture.size)
    except OSError:
        return GUESSED_FRAME_TOKENS


def _media_units(folder: Path, section: str) -> MediaUnits:
    for name in PROCESSOR_FILES:
        try:
            values: Mapping[str, Any] = json.loads((folder / name).read_text())
        except (OSError, ValueError):
            continue
        values = values.get(section, values)
        if "patch_size" in values:
            size = values.get("size") or {}
            return MediaUnits(
                int(values["patch_size"]) * int(values.get("merge_size", 1)),
                int(values.get("temporal_patch_size", 2)),
                size.get("shortest_edge", 0),
                size.get("longest_edge", float("inf")),
            )
    return MediaUnits()
