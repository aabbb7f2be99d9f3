"""Read a video file's metadata from its packets before decoding. Runs only in the child process."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from guardapp.guard.media.cut_files import boxes_run_past_end, riff_is_cut
from guardapp.guard.media.errors import (
    MediaCodecNotSupported,
    MediaCorrupt,
    MediaError,
    MediaNoVideoStream,
    MediaTooLarge,
    MediaTooLong,
    MediaTruncated,
)
from guardapp.guard.media.orientation import UPRIGHT, Orientation, of_matrix
from guardapp.guard.media.values import Limits

# The sniffed type selects the demuxer, so that a playlist or script format cannot be injected.
DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/mp2t": "mpegts",
    "video/mpeg": "mpeg",
    "image/avif-sequence": "mov",
    "image/heic-sequence": "mov",
}
SEQUENCES = ("image/avif-sequence", "image/heic-sequence")
# Their clock begins anywhere, and no browser seeks on it: it is told from the first frame.
OWN_CLOCK = ("mpegts", "mpeg", "avi")
# Recordings of broadcasts: they begin and end anywhere, and lack packets that were not received.
STREAMED = ("mpegts", "mpeg")
CODECS = {
    "h264",
    "hevc",
    "mpeg4",
    "vp8",
    "vp9",
    "av1",
    "mjpeg",
    "mpeg1video",
    "mpeg2video",
    "msmpeg4v2",
    "msmpeg4v3",
    "h263",
    "prores",
    "dvvideo",
    "rawvideo",
}
# A Matroska file whose data ends this long before its stated end is truncated.
MISSING_TAIL_S = 1.0
RESTART_S = 0.5


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
    turn: Orientation
    pixel_aspect: Fraction  # width over height of a coded pixel
    # some frames follow a keyframe in the file but precede it on screen
    open_gop: bool
    # The n-th decoded frame is shown at the n-th time: AVI has no times of its own, and joined recordings have several
    # that contradict each other.
    counts_frames: bool

    @property
    def times(self) -> list[float]:
        return [self.time(pts) for pts in self.pts]

    def time(self, pts: int) -> float:
        """Seconds on the clock that a player shows."""
        origin = self.pts[0] if DEMUXERS[self.mime] in OWN_CLOCK else 0
        return float((pts - origin) * self.time_base)

    @property
    def end_s(self) -> float:
        return self.time(self.end_pts)

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) as shown, in square pixels: the coded picture is widened or heightened, never shrunk."""
        aspect = float(self.pixel_aspect)
        return self.turn.size(self.width * max(aspect, 1.0), self.height * max(1 / aspect, 1.0))

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
    latest: int = 0
    restarts: bool = False  # the clock goes back: recordings were joined

    def follow_clock(self, packet: "av.Packet") -> None:
        """Note where the clock goes back by more than the order of decoding explains."""
        if packet.dts is None or packet.time_base is None:
            return
        if self.shown and (self.latest - packet.dts) * packet.time_base > RESTART_S:
            self.restarts = True
        self.latest = packet.dts


def open_container(source: Path, mime: str) -> InputContainer:
    """Open with the demuxer of the sniffed type, allowing only local files."""
    # AVI and MPEG streams leave out times that follow from others: genpts fills them in
    flags = "+genpts+discardcorrupt" if DEMUXERS[mime] in STREAMED else "+genpts"
    options = {"protocol_whitelist": "file", "fflags": flags}
    container: InputContainer = av.open(str(source), format=DEMUXERS[mime], options=options)
    return container


def probe(source: Path, mime: str, limits: Limits) -> Clip:
    """Read the container, the time of every packet, and one frame for its orientation."""
    try:
        container = open_container(source, mime)
    except av.error.InvalidDataError as error:
        raise _unreadable(source, mime) from error
    with container:
        stream = video_stream(container, mime)
        _check_header(stream, container, limits)
        packets = _read_packets(container, stream, limits)
        _check_complete(packets, container, stream, source, mime)
    # opened again: not every format can be wound back to a place before its first time
    with open_container(source, mime) as container:
        stream = video_stream(container, mime)
        first = next((frame for frame in frames_of(container, stream, mime) if frame.pts is not None), None)
        if first is None:
            raise MediaCorrupt("no frame can be decoded")
        clip = _clip(packets, first, stream, source, mime)
    if clip.duration_s > limits.max_duration_s:
        raise MediaTooLong(f"{clip.duration_s:.0f} seconds, at most {limits.max_duration_s:.0f}")
    return clip


def _unreadable(source: Path, mime: str) -> MediaError:
    """An MP4 whose boxes extend past the end of the file is truncated; any other file is corrupt."""
    if DEMUXERS[mime] == "mov" and boxes_run_past_end(source):
        return MediaTruncated()
    if DEMUXERS[mime] == "avi" and riff_is_cut(source):
        return MediaTruncated()
    return MediaCorrupt("its container cannot be read")


def video_stream(container: InputContainer, mime: str) -> "av.VideoStream":
    """Return the first video stream that is not a cover picture, set to decode in one thread.

    Of a picture sequence it is the longest: a still picture of it stands before.
    """
    pictures = [
        stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic
    ]
    if not pictures:
        raise MediaNoVideoStream
    stream = max(pictures, key=lambda one: one.frames) if mime in SEQUENCES else pictures[0]
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in CODECS:
        raise MediaCodecNotSupported(stream.codec_context.name if stream.codec_context else "unknown codec")
    stream.codec_context.thread_count = 1
    return stream


def frames_of(container: InputContainer, stream: "av.VideoStream", mime: str) -> Iterator["av.VideoFrame"]:
    """Decode from the present place on. Of a streamed recording, packets that cannot be decoded are left out."""
    if DEMUXERS[mime] not in STREAMED:
        yield from container.decode(stream)
        return
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


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
        if packet.stream_index != stream.index or packet.is_discard or not packet.size:
            continue
        if packet.is_corrupt:
            raise MediaTruncated
        if packet.is_keyframe:
            packets.keyframes.append(packet.pts)
        elif packets.keyframes and packet.pts < packets.keyframes[-1]:
            packets.open_gop = True
        packets.follow_clock(packet)
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
    if DEMUXERS[mime] == "avi" and riff_is_cut(source):
        raise MediaTruncated
    # on the file's own clock, whatever the time of the first packet
    end_s = (container.duration or 0) / av.time_base
    if end_s - packets.last_s > MISSING_TAIL_S:
        raise MediaTruncated(f"it should last until {end_s:.1f} seconds, its data ends at {packets.last_s:.1f}")


def _clip(packets: Packets, first: "av.VideoFrame", stream: "av.VideoStream", source: Path, mime: str) -> Clip:
    shown = sorted(packets.shown)
    restarts = DEMUXERS[mime] in STREAMED and packets.restarts
    if restarts:
        lengths = sorted(duration for _, duration in shown if duration) or [1]
        step = lengths[len(lengths) // 2]
        shown = [(number * step, step) for number in range(len(shown))]
    elif DEMUXERS[mime] in STREAMED and first.pts is not None:
        # what stands before the first keyframe cannot be decoded
        shown = [one for one in shown if one[0] >= first.pts] or shown
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
        turn=_turn(first),
        pixel_aspect=_pixel_aspect(stream),
        open_gop=packets.open_gop,
        counts_frames=restarts or DEMUXERS[mime] == "avi",
    )


def _turn(frame: "av.VideoFrame") -> Orientation:
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return UPRIGHT if matrix is None else of_matrix(struct.unpack("=9i", bytes(matrix)[:36]))


def _pixel_aspect(stream: "av.VideoStream") -> Fraction:
    """As the container says, else as the codec does."""
    stated = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(stated) if stated else Fraction(1)


def _last_duration(pts: tuple[int, ...], stated: int) -> int:
    """The duration of the last frame: as stated, else the mean of the others."""
    return stated or ((pts[-1] - pts[0]) // (len(pts) - 1) if len(pts) > 1 else 0)
