"""Decode video to RGB frames with timestamps. Runs only in the child process.

decord is used where it is correct and affordable, PyAV otherwise.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.video.reformatter import Interpolation
from PIL import Image

from guardapp.guard.media.clip import (
    DEMUXERS,
    SEQUENCES,
    STREAMED,
    Clip,
    frames_of,
    open_container,
    probe,
    video_stream,
)
from guardapp.guard.media.errors import MediaCorrupt, MediaOutOfMemory
from guardapp.guard.media.images import save_png
from guardapp.guard.media.orientation import Orientation
from guardapp.guard.media.sizes import fewest, fit_size, pick_frames, sampled_fps
from guardapp.guard.media.values import Decoded, Limits, Reader
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Frame, MediaPreset, SeenMedia

NOT_IN_DECORD = {"av1"}  # decord 0.6 was built without that decoder
# The largest mean number of wanted frames that one keyframe may replace.
MAX_THINNING = 4
PACKED = 2  # the most frames that an AVI may lack at its end
Size = tuple[int, int]


def decode_video(source: Path, mime: str, preset: MediaPreset, limits: Limits, folder: Path) -> Decoded:
    """Decode sampled, upright, resized frames to RGB PNGs in `folder`. Raises a MediaError."""
    try:
        clip = probe(source, mime, limits)
        return _decode(clip, preset, limits, folder)
    except av.error.MemoryError as error:
        raise MediaOutOfMemory from error
    except (av.error.FFmpegError, ValueError, RuntimeError) as error:
        raise MediaCorrupt(_plain(error, source)) from error


def _plain(error: Exception, source: Path) -> str:
    return str(error).replace(str(source), "file")[:200]


def _decode(clip: Clip, preset: MediaPreset, limits: Limits, folder: Path) -> Decoded:
    size = fit_size(*clip.upright, preset.min_pixels_per_frame, preset.max_pixels_per_frame, preset.size_multiple)
    min_frames = fewest(preset) if clip.mime in SEQUENCES else preset.min_frames
    picked = pick_frames(clip.times, clip.end_s, preset.fps, min_frames, preset.max_frames)
    cost = clip.width * clip.height * (picked[-1] + 1)
    keyframes = nearest_keyframes(clip, picked) if cost > limits.sequential_pixels else []
    # A long clip with very few keyframes is decoded in full: the keyframes would show too little of it.
    keyframes_only = len(keyframes) * MAX_THINNING >= len(picked)
    frames: list[Frame] = []
    reader: Reader = "pyav"
    if not keyframes_only and cost <= limits.decord_pixels and _fits_decord(clip):
        frames = _store(_decord(clip, picked, size), folder)
        reader = "decord"
    if not frames:
        pictures = _keyframes(clip, keyframes, size) if keyframes_only else _in_one_pass(clip, picked, size)
        frames, reader = _store(pictures, folder), "pyav"
    if not frames:
        raise MediaCorrupt("no frame can be decoded")
    times = clip.times
    return Decoded(
        seen=SeenMedia(
            MediaKind.VIDEO, tuple(frames), sampled_fps([frame.timestamp_s for frame in frames], preset.fps)
        ),
        reader=reader,
        mime=clip.mime,
        codec=clip.codec,
        source_width=clip.width,
        source_height=clip.height,
        width=size[0],
        height=size[1],
        rotation=clip.turn.rotation,
        mirrored=clip.turn.mirrored,
        pixel_aspect=round(float(clip.pixel_aspect), 6),
        start_s=times[0],
        duration_s=clip.duration_s,
        source_fps=round(len(times) / clip.duration_s, 6) if clip.duration_s > 0 else None,
        source_frames=len(times),
        keyframes_only=keyframes_only,
    )


def _fits_decord(clip: Clip) -> bool:
    """decord knows other containers less well, turns pictures but does not mirror them."""
    return (
        DEMUXERS[clip.mime] in ("mov", "matroska")
        and clip.mime not in SEQUENCES
        and clip.codec not in NOT_IN_DECORD
        and not clip.open_gop
        and not clip.turn.mirrored
    )


def _store(pictures: Iterator[tuple[int | float, Image.Image]], folder: Path) -> list[Frame]:
    frames = []
    for number, (time_s, picture) in enumerate(pictures):
        frame = Frame(folder / f"{number:04d}.png", round(float(time_s), 6))
        save_png(picture, frame.path)
        frames.append(frame)
    return frames


def _decord(clip: Clip, picked: list[int], size: Size) -> Iterator[tuple[float, Image.Image]]:
    """Yield frames from decord, which rotates by itself; nothing if it cannot read the file or sees other frames.

    decord addresses frames by number, so its frame count and its times (which start at 0) must match the packets before
    an index is trusted. After a seek in an open-GOP file it is off by the leading frames; such files do not get here.
    """
    try:
        # heavy, and without a wheel for some platforms
        import decord
    except (ImportError, OSError):
        return
    times = clip.times
    try:
        video = decord.VideoReader(str(clip.source), ctx=decord.cpu(0), width=size[0], height=size[1], num_threads=1)
        if len(video) != len(times):
            return
        # decord stores times as 32-bit floats
        tolerance = max(1e-3, clip.duration_s * 1e-6)
        if any(
            abs(float(video.get_frame_timestamp(index)[0]) - (times[index] - times[0])) > tolerance for index in picked
        ):
            return
        batch = video.get_batch(picked).asnumpy()
    except (decord.DECORDError, AssertionError, RuntimeError):
        return
    for index, pixels in zip(picked, batch, strict=True):
        yield times[index], Image.fromarray(pixels)


def _in_one_pass(clip: Clip, picked: list[int], size: Size) -> Iterator[tuple[float, Image.Image]]:
    """Decode from the start and scale the wanted frames, with one source frame in memory at a time."""
    wanted = iter([clip.pts[index] for index in picked])
    next_pts = next(wanted, None)
    decoded = 0
    with open_container(clip.source, clip.mime) as container:
        stream = video_stream(container, clip.mime)
        for frame in frames_of(container, stream, clip.mime):
            if next_pts is None:
                return
            pts = clip.pts[min(decoded, len(clip.pts) - 1)] if clip.counts_frames else frame.pts
            decoded += 1
            if pts is None or pts < next_pts:
                continue
            yield clip.time(pts), _picture(frame, clip.turn, size)
            while next_pts is not None and next_pts <= pts:
                next_pts = next(wanted, None)
    # DivX packs two frames into one packet, and the last packets hold nothing
    whole = DEMUXERS[clip.mime] in STREAMED or (clip.counts_frames and decoded >= len(clip.pts) - PACKED)
    if next_pts is not None and not whole:
        raise MediaCorrupt("it stops decoding before its end")


def nearest_keyframes(clip: Clip, picked: list[int]) -> list[int]:
    """Return the pts of the keyframe nearest to each wanted frame, distinct and ascending."""
    return sorted({_nearest(clip.keyframe_pts, clip.pts[index]) for index in picked})


def _nearest(ascending: Sequence[int], wanted: int) -> int:
    place = bisect_left(ascending, wanted)
    return min(ascending[max(0, place - 1) : place + 1], key=lambda pts: abs(pts - wanted))


def _keyframes(clip: Clip, keyframes: list[int], size: Size) -> Iterator[tuple[float, Image.Image]]:
    """Seek to each keyframe and decode only that."""
    with open_container(clip.source, clip.mime) as container:
        stream = video_stream(container, clip.mime)
        stream.codec_context.skip_frame = "NONKEY"
        for pts in keyframes:
            container.seek(pts, stream=stream, backward=True)
            shown = (frame for frame in frames_of(container, stream, clip.mime) if frame.pts is not None)
            frame = next((frame for frame in shown if (frame.pts or 0) >= pts), None)
            if frame is not None and frame.pts is not None:
                yield clip.time(pts if clip.counts_frames else frame.pts), _picture(frame, clip.turn, size)


def _picture(frame: "av.VideoFrame", turn: Orientation, size: Size) -> Image.Image:
    """Scale first and turn afterwards, so that turning works on few pixels."""
    width, height = size[::-1] if turn.turns_sides else size
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.BICUBIC)
    return turn.apply(small.to_image())
