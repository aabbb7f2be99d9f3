"""Decode animated GIF, WebP and PNG to frames with timestamps, like a clip. Runs only in the child process."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

import av
from PIL import Image

from guardapp.guard.media import apng
from guardapp.guard.media.animation_times import frame_delays
from guardapp.guard.media.errors import MediaCorrupt, MediaTooLong, MediaTruncated
from guardapp.guard.media.images import FORMATS, check_pixels, exif_turn, on_white, pillow_errors, save_png
from guardapp.guard.media.orientation import Orientation
from guardapp.guard.media.sizes import fewest, fit_size, pick_frames, sampled_fps
from guardapp.guard.media.values import Decoded, Limits, Reader
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, MediaPreset, SeenMedia


def decode_animation(source: Path, mime: str, preset: MediaPreset, limits: Limits, folder: Path) -> Decoded:
    """Decode the frames on display at the sampled times to upright RGB PNGs on white in `folder`.

    One round of the animation; how often it is repeated does not count. Raises a MediaError.
    """
    times = _times(source, mime, limits)
    starts, end = times[:-1], times[-1]
    picked = pick_frames(starts, end, preset.fps, fewest(preset), preset.max_frames)
    with pillow_errors(source, mime, limits), Image.open(source, formats=FORMATS[mime]) as image:
        check_pixels(image.size, limits.max_video_pixels)
        _check_work(image.size, picked[-1] + 1, len(starts), limits)
        turn, canvas = exif_turn(image, mime), image.size
        size = fit_size(
            *turn.size(*canvas), preset.min_pixels_per_frame, preset.max_pixels_per_frame, preset.size_multiple
        )
        composed = _by_ffmpeg(source, picked) if mime == "image/png" else _by_pillow(image, picked)
        frames = [
            _store(picture, canvas, turn, size, Frame(folder / f"{number:04d}.png", round(starts[index], 6)))
            for number, (index, picture) in enumerate(zip(picked, composed, strict=False))
        ]
    if len(frames) < len(picked):
        raise MediaTruncated(f"{len(starts):,} frames are announced")
    reader: Reader = "pyav" if mime == "image/png" else "pillow"
    return Decoded(
        seen=SeenMedia(
            MediaKind.VIDEO, tuple(frames), sampled_fps([frame.timestamp_s for frame in frames], preset.fps)
        ),
        reader=reader,
        mime=mime,
        codec=mime.removeprefix("image/"),
        source_width=canvas[0],
        source_height=canvas[1],
        width=size[0],
        height=size[1],
        rotation=turn.rotation,
        mirrored=turn.mirrored,
        duration_s=round(end, 6),
        source_fps=round(len(starts) / end, 6),
        source_frames=len(starts),
    )


def _times(source: Path, mime: str, limits: Limits) -> list[float]:
    """When each frame begins, in seconds, and the end of the last."""
    times = [0.0]
    with source.open("rb") as stream:
        for delay in islice(frame_delays(stream, mime), limits.max_source_frames + 1):
            times.append(times[-1] + delay / 1_000)
    if len(times) - 1 > limits.max_source_frames:
        raise MediaTooLong(f"more than {limits.max_source_frames:,} frames")
    if len(times) == 1:
        raise MediaCorrupt("it holds no frames")
    return times


def _check_work(canvas: tuple[int, int], needed: int, total: int, limits: Limits) -> None:
    """Each frame changes the one before, so all up to the last wanted one are composed, each as large as the canvas."""
    if canvas[0] * canvas[1] * needed > limits.animation_pixels:
        raise MediaTooLong(
            f"{total:,} frames of {canvas[0]}x{canvas[1]} pixels, "
            f"at most {limits.animation_pixels / (canvas[0] * canvas[1]):,.0f} of this size"
        )


def _by_pillow(image: Image.Image, picked: Sequence[int]) -> Iterator[Image.Image]:
    for index in picked:
        try:
            image.seek(index)
        except EOFError:
            return
        yield image.convert("RGBA")


def _by_ffmpeg(source: Path, picked: Sequence[int]) -> Iterator[Image.Image]:
    composed = apng.frames(source)
    try:
        for before, index in pairwise([-1, *picked]):
            yield from islice(composed, index - before - 1, index - before)
    except av.error.FFmpegError as error:
        raise MediaCorrupt(str(error).replace(str(source), "file")[:200]) from error


def _store(
    picture: Image.Image, canvas: tuple[int, int], turn: Orientation, size: tuple[int, int], frame: Frame
) -> Frame:
    # what a later frame of a GIF draws outside of the canvas is not shown; Pillow makes room for it
    shown = picture if picture.size == canvas else picture.crop((0, 0, *canvas))
    save_png(on_white(turn.apply(shown), size), frame.path)
    return frame
