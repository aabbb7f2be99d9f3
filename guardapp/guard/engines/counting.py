"""Counting the tokens of a prompt that a server reads: at least as many as there are.

The checkpoint's tokenizer counts if its folder is on this machine, else the server (vLLM's /tokenize), else every byte
counts as a token, which no tokenizer exceeds.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image
from tokenizers import Tokenizer

from guardapp.guard.engines.http_servers import ServerRefused, Servers, ServerUnreachable
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import SeenMedia

TOKENIZE = "/tokenize"
# the marks around the messages, and the beginning of the answer
AROUND = 48
# pixels of a side that are one token: 28 in Qwen2.5-VL and 32 in Qwen3-VL; the smaller one counts more
SIDE = 28
FRAMES_TOGETHER = 2
TOKENS_A_TIME = 20  # at most, of "<12.3 seconds>" and the marks around a pair of frames


class TokenCounter:
    """Counts for one model. Thread-safe."""

    def __init__(self, checkpoint: str, model: str, servers: Servers) -> None:
        self._file = Path(checkpoint, "tokenizer.json")
        self._model = model
        self._servers = servers
        self._server_counts = True

    def count(self, texts: Sequence[str], media: Sequence[SeenMedia]) -> int:
        """The tokens of a prompt with these texts and media. Raises OSError if a frame cannot be read."""
        return self._of_texts("\n".join(texts)) + AROUND + sum(map(_of_medium, media))

    def _of_texts(self, text: str) -> int:
        if self._tokenizer is not None:
            return len(self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0])
        if self._server_counts:
            try:
                answer = self._servers.post(
                    TOKENIZE, {"model": self._model, "prompt": text, "add_special_tokens": False}
                )
                return int(answer["count"])
            except (ServerRefused, ServerUnreachable, KeyError):
                self._server_counts = False
        return len(text.encode("utf-8", "replace"))

    @cached_property
    def _tokenizer(self) -> Tokenizer | None:
        return Tokenizer.from_file(str(self._file)) if self._file.is_file() else None


def _of_medium(medium: SeenMedia) -> int:
    is_video = medium.kind is MediaKind.VIDEO
    with Image.open(medium.frames[0].path) as frame:
        width, height = frame.size
    pairs = math.ceil(len(medium.frames) / FRAMES_TOGETHER) if is_video else 1
    return pairs * (math.ceil(width / SIDE) * math.ceil(height / SIDE) + (TOKENS_A_TIME if is_video else 2))
