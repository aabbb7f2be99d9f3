"""What media tests look at: refusals, times, numbers and colours of decoded frames."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guardapp.guard.media.decode import DEFAULT_LIMITS, PRESETS, Decoded, Limits, MediaError, decode
from guardapp.guard.verdict import MediaPreset
from tests.guard.media.samples import number_in

STARTER, OMNI = PRESETS["starter"], PRESETS["omni-148k"]
PYAV_ONLY = Limits(decord_pixels=0)
FAST_VP9 = {"cpu-used": "8", "deadline": "realtime"}


def refusal(source: Path, out_dir: Path, preset: MediaPreset = STARTER, limits: Limits = DEFAULT_LIMITS) -> MediaError:
    """The error of a file that must be refused, after seeing that nothing of it was kept."""
    with pytest.raises(MediaError) as caught:
        decode(source, out_dir, preset, limits)
    assert not out_dir.exists()
    assert not list(out_dir.parent.glob(f".{out_dir.name}*"))
    return caught.value


def timestamps(decoded: Decoded) -> list[float]:
    return [frame.timestamp_s for frame in decoded.seen.frames]


def numbers(decoded: Decoded) -> list[int]:
    return [number_in(frame.path) for frame in decoded.seen.frames]


def pixel(decoded: Decoded, x: float, y: float, frame: int = 0) -> tuple[int, int, int]:
    """The colour at a place given as a share of the width and the height."""
    with Image.open(decoded.seen.frames[frame].path) as image:
        assert image.mode == "RGB"
        assert image.size == (decoded.width, decoded.height)
        return image.getpixel((int(x * image.width), int(y * image.height)))  # type: ignore[return-value]


def near(colour: tuple[int, int, int], wanted: tuple[int, int, int], tolerance: int = 40) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(colour, wanted, strict=True))


def difference(one: Decoded, other: Decoded) -> float:
    """Mean absolute difference of the first frames, 0 to 255."""
    first, second = (np.asarray(Image.open(decoded.seen.frames[0].path)).astype(int) for decoded in (one, other))
    return float(np.abs(first - second).mean())


def media_reader_is_there() -> bool:
    return sys.platform == "linux" and os.uname().machine == "x86_64"
