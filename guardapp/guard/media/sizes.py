"""Frame sizes and the choice of video frames: pure arithmetic."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from guardapp.guard.media.errors import MediaTooNarrow
from guardapp.guard.verdict import MediaPreset

MAX_ASPECT = 200.0
# A frame that starts up to this long after the wanted time still counts as on display.
TIME_TOLERANCE_S = 1e-4
# An animation of so few frames is seen whole.
WHOLE_ANIMATION = 16


def fit_size(width: int, height: int, min_pixels: int, max_pixels: int, multiple: int) -> tuple[int, int]:
    """Return (width, height) close to the source's aspect ratio, both multiples of `multiple`, within the pixel bounds.

    Follows `smart_resize` of the Qwen processors (transformers, image_processing_qwen2_vl), with one difference: there,
    a side that rounds up to one multiple can exceed the upper bound; here, the other side shrinks. If no multiple fits
    between the bounds, the upper one wins. Raises MediaTooNarrow if one side is over 200 times the other.
    """
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise MediaTooNarrow(f"{width}x{height} pixels")
    fitted_width = max(multiple, round(width / multiple) * multiple)
    fitted_height = max(multiple, round(height / multiple) * multiple)
    if fitted_width * fitted_height > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        fitted_width = max(multiple, math.floor(width / shrink / multiple) * multiple)
        fitted_height = max(multiple, math.floor(height / shrink / multiple) * multiple)
    elif fitted_width * fitted_height < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        fitted_width = math.ceil(width * grow / multiple) * multiple
        fitted_height = math.ceil(height * grow / multiple) * multiple
    return _within(fitted_width, fitted_height, max_pixels, multiple)


def _within(width: int, height: int, max_pixels: int, multiple: int) -> tuple[int, int]:
    """Shorten the longer side until the area fits."""
    if width * height <= max_pixels:
        return width, height
    short = min(width, height)
    long = max(multiple, max_pixels // short // multiple * multiple)
    return (long, short) if width >= height else (short, long)


def pick_frames(times: Sequence[float], end_s: float, fps: float, min_frames: int, max_frames: int) -> list[int]:
    """Return the indices of the frames to see, ascending and distinct.

    `times` are the start times of the frames in seconds, ascending; `end_s` is the end of the last one.

    Takes the frame on display every 1/fps seconds. If that gives more than `max_frames` or fewer than `min_frames`,
    that many moments are spread evenly from the first frame to the last. A frame that is on display at several moments
    is taken once. A source with fewer than `min_frames` frames is taken whole.
    """
    start, last = times[0], times[-1]
    wanted = max(1, math.ceil((end_s - start) * fps - TIME_TOLERANCE_S))
    if min_frames <= wanted <= max_frames:
        moments = [start + step / fps for step in range(wanted)]
    else:
        moments = spread(start, last, min(max(wanted, min_frames), max_frames))
    picked = sorted({max(0, bisect_right(times, moment + TIME_TOLERANCE_S) - 1) for moment in moments})
    if len(picked) < min(min_frames, len(times)):
        return [round(place) for place in spread(0, len(times) - 1, min(min_frames, len(times)))]
    return picked


def fewest(preset: MediaPreset) -> int:
    """The `min_frames` of an animation: it is shown over and over, so none of a few frames is too short to count."""
    return max(preset.min_frames, min(WHOLE_ANIMATION, preset.max_frames))


def spread(first: float, last: float, count: int) -> list[float]:
    """`count` evenly spaced values from first to last; for one value, the first."""
    if count == 1:
        return [first]
    return [first + (last - first) * step / (count - 1) for step in range(count)]


def sampled_fps(timestamps: Sequence[float], fallback: float) -> float:
    """The rate of the sampled frames from their timestamps, in frames per second; `fallback` for a single frame."""
    if len(timestamps) < 2 or timestamps[-1] <= timestamps[0]:
        return fallback
    return round((len(timestamps) - 1) / (timestamps[-1] - timestamps[0]), 6)
