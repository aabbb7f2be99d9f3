"""Real media files made at test time with Pillow and PyAV: every frame of a video carries its own number."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

BITS = 8  # a frame's number is written as eight black or white bars from left to right
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)


def numbered(number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """A (height, width, 3) picture: bars that spell `number` above a bottom fifth that is red on the left, blue on the
    right.
    """
    picture = np.zeros((height, width, 3), np.uint8)
    bar = width // BITS
    for bit in range(BITS):
        if number >> bit & 1:
            picture[:, bit * bar : (bit + 1) * bar] = 255
    picture[height * 4 // 5 :, : width // 2] = RED
    picture[height * 4 // 5 :, width // 2 :] = BLUE
    return picture


def number_in(path: Path) -> int:
    """Read the number back from a decoded frame, however it was resized."""
    picture = np.asarray(Image.open(path).convert("L"))
    height, width = picture.shape
    bar = width / BITS
    columns = [int((bit + 0.5) * bar) for bit in range(BITS)]
    return sum(
        1 << bit for bit, column in enumerate(columns) if picture[height // 4 : height // 2, column].mean() > 127
    )


def make_video(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = 30,
    fps: int = 10,
    size: tuple[int, int] = (128, 96),
    pts: list[int] | None = None,
    rotation: float | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A video whose n-th frame shows n. pts: presentation times in milliseconds, for variable frame rates and late
    starts.
    """
    width, height = size
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if pts is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number % (1 << BITS), width, height), format="rgb24")
            frame.time_base = Fraction(1, 1000) if pts is not None else Fraction(1, fps)
            frame.pts = number if pts is None else pts[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_slow_video(path: Path, frames: int = 900) -> Path:
    """One 3840x2160 keyframe repeated: a small file that is quick to make and takes seconds to decode."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 3_840, 2_160, "yuv420p"
        picture = av.VideoFrame.from_ndarray(numbered(1, 3_840, 2_160), format="rgb24")
        picture.pts, picture.time_base = 0, Fraction(1, 30)
        encoded = bytes([*stream.encode(picture), *stream.encode(None)][0])
        for number in range(frames):
            packet = av.Packet(encoded)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 30), True
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def make_audio(path: Path) -> Path:
    """One second of silence in an MP4 that has no video stream."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for _ in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def quarters(width: int = 128, height: int = 128) -> Image.Image:
    """Red and green above, blue and white below."""
    picture = Image.new("RGB", (width, height), WHITE)
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture
