"""The frames of an animated PNG, composed by FFmpeg: Pillow restores the wrong area after some frames.

Runs only in the child process.
"""

from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image

from guardapp.guard.media.animation_times import frame_delays


def frames(source: Path) -> Iterator[Image.Image]:
    """Yield each frame of the animation as RGBA, as it stands on the whole canvas."""
    with av.open(str(source), format="apng", options={"protocol_whitelist": "file"}) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            yield Image.fromarray(frame.to_ndarray(format="rgba"))


def first_frame(source: Path, image: Image.Image) -> Image.Image | None:
    """The first frame of an opened PNG that holds an animation; None for an ordinary one."""
    with source.open("rb") as stream:
        if next(frame_delays(stream, "image/png"), None) is None:
            return None
    return next(frames(source), image)
