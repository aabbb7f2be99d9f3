"""Read a video file's metadata from its packets before decoding. Runs only in the child process."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from guardapp.guard.media.errors import (
    MediaCodecNotSupported,
    MediaCorrupt,
    MediaError,
    MediaNoVideoStream,
    MediaTooLarge,
    MediaTooLong,
    MediaTruncated,
)
from guardapp.guard.media.values import Limits

# The sniffed type selects the demuxer, so that a playlist or script format cannot be injected.
DEMUXERS = {"video/mp4": "mov", "video/quicktime": "mov", "video/webm": "matroska", "video/x-matroska": "matroska"}
CODECS = {"h264", "hevc", "mpeg4", "vp8", "vp9", "av1", "mjpeg"}
# A Matroska file whose data ends this long before its stated end is truncated.
MISSING_TAIL_S = 1.0


@dataclass(frozen=True, slots=True)
class Clip:
    """Metadata from the packets. `pts` lists every frame in display order, in units of `time_base` seconds."""

    source: Path
    mime: str
    width: int
    height: int
    codec: str
    time_base: Fraction
    pts: tuple[int, ...]
    keyframe_pts: tuple[int, ...]
    end_pts: int
    rotation: int  # degrees clockwise that show it upright
    # some frames follow a keyframe in the file but precede it on screen
    open_gop: bool

    @property
    def times(self) -> list[float]:
        return [float(pts * self.time_base) for pts in self.pts]

    @property
    def end_s(self) -> float:
        return float(self.end_pts * self.time_base)

    @property
    def duration_s(self) -> float:
        return float((self.end_pts - self.pts[0]) * self.time_base)


@dataclass(slots=True)
class Packets:
    """The packets of the video stream read so far, in file order.

    Times are in the stream's time base; `last_s` is over all streams.
    """

    shown: list[tuple[int, int]] = field(default_factory=list)  # (pts, duration)
    keyframes: list[int] = field(default_factory=list)
    last_s: float = 0.0
    open_gop: bool = False


def open_container(source: Path, mime: str) -> InputContainer:
    """Open with the demuxer of the sniffed type, allowing only local files."""
    container: InputContainer = av.open(str(source), format=DEMUXERS[mime], options={"protocol_whitelist": "file"})
    return container


def probe(source: Path, mime: str, limits: Limits) -> Clip:
    """Read the container, the time of every packet, and one frame for its orientation."""
    try:
        container = open_container(source, mime)
    except av.error.InvalidDataError as error:
        raise _unreadable(source, mime) from error
    with container:
        stream = video_stream(container)
        _check_header(stream, container, limits)
        packets = _read_packets(container, stream, limits)
        _check_complete(packets, container, stream, source, mime)
        container.seek(0, backward=True, any_frame=False)
        first = next(container.decode(stream), None)
        if first is None:
            raise MediaCorrupt("no frame can be decoded")
        clip = _clip(packets, first, stream, source, mime)
    if clip.duration_s > limits.max_duration_s:
        raise MediaTooLong(f"{clip.duration_s:.0f} seconds, at most {limits.max_duration_s:.0f}")
    return clip


def _unreadable(source: Path, mime: str) -> MediaError:
    """An MP4 whose boxes extend past the end of the file is truncated; any other file is corrupt."""
    if DEMUXERS[mime] == "mov" and _boxes_run_past_end(source):
        return MediaTruncated()
    return MediaCorrupt("its container cannot be read")


def _boxes_run_past_end(source: Path) -> bool:
    size, at = source.stat().st_size, 0
    with source.open("rb") as stream:
        while at + 8 <= size:
            stream.seek(at)
            header = stream.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            # length 0: the box extends to the end of the file
            if length == 0:
                return False
            if length < 8 or not header[4:8].isalnum():
                return False
            at += length
    return at != size


def video_stream(container: InputContainer) -> "av.VideoStream":
    """Return the first video stream that is not a cover picture, set to decode in one thread."""
    pictures = [
        stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic
    ]
    if not pictures:
        raise MediaNoVideoStream
    stream = pictures[0]
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in CODECS:
        raise MediaCodecNotSupported(stream.codec_context.name if stream.codec_context else "unknown codec")
    stream.codec_context.thread_count = 1
    return stream


def _check_header(stream: "av.VideoStream", container: InputContainer, limits: Limits) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_video_pixels:
        raise MediaTooLarge(f"{width}x{height} pixels per frame, at most {limits.max_video_pixels:,} in all")
    if not width or not height:
        raise MediaCorrupt("its frame size is missing")
    duration_s = (container.duration or 0) / av.time_base
    if duration_s > limits.max_duration_s:
        raise MediaTooLong(f"{duration_s:.0f} seconds, at most {limits.max_duration_s:.0f}")
    if stream.frames > limits.max_source_frames:
        raise MediaTooLong(f"{stream.frames:,} frames, at most {limits.max_source_frames:,}")


def _read_packets(container: InputContainer, stream: "av.VideoStream", limits: Limits) -> Packets:
    """Walk over the whole file without decoding."""
    packets = Packets()
    for packet in container.demux():
        if packet.pts is None or packet.time_base is None:
            continue
        packets.last_s = max(packets.last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != stream.index or packet.is_discard:
            continue
        if packet.is_corrupt:
            raise MediaTruncated
        if packet.is_keyframe:
            packets.keyframes.append(packet.pts)
        elif packets.keyframes and packet.pts < packets.keyframes[-1]:
            packets.open_gop = True
        packets.shown.append((packet.pts, packet.duration or 0))
        if len(packets.shown) > limits.max_source_frames:
            raise MediaTooLong(f"more than {limits.max_source_frames:,} frames")
    if not packets.shown:
        raise MediaNoVideoStream("it holds no frames")
    return packets


def _check_complete(
    packets: Packets, container: InputContainer, stream: "av.VideoStream", source: Path, mime: str
) -> None:
    """Detect missing data: MP4 records the position of every packet, Matroska its duration."""
    if DEMUXERS[mime] == "mov":
        size = source.stat().st_size
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            raise MediaTruncated
        return
    # on the file's own clock, whatever the time of the first packet
    end_s = (container.duration or 0) / av.time_base
    if end_s - packets.last_s > MISSING_TAIL_S:
        raise MediaTruncated(f"it should last until {end_s:.1f} seconds, its data ends at {packets.last_s:.1f}")


def _clip(packets: Packets, first: "av.VideoFrame", stream: "av.VideoStream", source: Path, mime: str) -> Clip:
    shown = sorted(packets.shown)
    pts = tuple(dict.fromkeys(time for time, _ in shown))
    return Clip(
        source=source,
        mime=mime,
        width=first.width,
        height=first.height,
        codec=stream.codec_context.codec.canonical_name,
        time_base=Fraction(stream.time_base or 1),
        pts=pts,
        keyframe_pts=tuple(sorted(packets.keyframes)),
        end_pts=pts[-1] + _last_duration(pts, shown[-1][1]),
        rotation=-int(first.rotation) % 360,
        open_gop=packets.open_gop,
    )


def _last_duration(pts: tuple[int, ...], stated: int) -> int:
    """The duration of the last frame: as stated, else the mean of the others."""
    return stated or ((pts[-1] - pts[0]) // (len(pts) - 1) if len(pts) > 1 else 0)
