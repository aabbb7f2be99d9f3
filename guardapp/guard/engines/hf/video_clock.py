"""Timestamps of sampled frames as the models' processors expect them.

The processors derive times from frame numbers and a rate, so the source is described as having 1000 frames a second.
"""

from dataclasses import dataclass

from guardapp.guard.verdict import SeenMedia

# frame numbers are milliseconds, which makes any timestamp exact
MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class VideoClock:
    """A video as described to a processor; Qwen2.5-VL's seconds per grid step follow from the duration."""

    total_frames: int
    duration_s: float
    indices: tuple[int, ...]


def clock_of(medium: SeenMedia) -> VideoClock:
    times = [frame.timestamp_s for frame in medium.frames]
    span = times[-1] - times[0]
    fps = (len(times) - 1) / span if span > 0 else medium.fps or 1.0
    duration_s = len(times) / fps
    return VideoClock(
        max(1, round(duration_s * MILLISECONDS)), duration_s, tuple(round(time * MILLISECONDS) for time in times)
    )
