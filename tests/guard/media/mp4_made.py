"""MP4 files whose boxes are changed after they were written: what cameras do and muxers offer no option for."""

import struct
from fractions import Fraction

ONE = 1 << 16
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
# a, b, c, d of a display matrix, by (degrees clockwise, mirrored left to right before)
MATRICES = {
    (rotation, mirrored): tuple(ONE * value * (-1 if mirrored and place < 2 else 1) for place, value in enumerate(turn))
    for rotation, turn in _TURNS.items()
    for mirrored in (False, True)
}
PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def with_matrix(mp4: bytes, matrix: tuple[int, ...]) -> bytes:
    """Set the display matrix of the first track."""
    a, b, c, d = matrix
    at = mp4.index(b"tkhd") + 4
    at += 40 if mp4[at] == 0 else 52
    return mp4[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + mp4[at + 36 :]


def with_pixel_aspect(mp4: bytes, aspect: Fraction) -> bytes:
    """Set the shape of a pixel in the container, whatever the codec says."""
    if b"pasp" in mp4:
        at = mp4.index(b"pasp") + 4
        return mp4[:at] + struct.pack(">II", *aspect.as_integer_ratio()) + mp4[at + 8 :]
    box = struct.pack(">I4sII", 16, b"pasp", *aspect.as_integer_ratio())
    return _grown(mp4, (*PARENTS, b"stsd", b"avc1"), box)


def with_edit(mp4: bytes, start_s: float) -> bytes:
    """Begin the presentation this many seconds into the track, by its edit list."""
    at = mp4.index(b"elst") + 4
    assert mp4[at] == 0
    scale = mp4.index(b"mdhd") + 4
    assert mp4[scale] == 0
    per_second = int.from_bytes(mp4[scale + 12 : scale + 16], "big")
    media_time = int.from_bytes(mp4[at + 12 : at + 16], "big") + round(start_s * per_second)
    return mp4[: at + 12] + struct.pack(">I", media_time) + mp4[at + 16 :]


def _grown(mp4: bytes, path: tuple[bytes, ...], box: bytes) -> bytes:
    """Append a box to the last one of the path. The movie lies behind the data, whose places stay."""
    assert mp4.index(b"mdat") < mp4.index(b"moov")
    data = bytearray(mp4)
    place, end = 0, len(mp4)
    for name in path:
        start = data.index(name, place) - 4
        size = int.from_bytes(data[start : start + 4], "big")
        data[start : start + 4] = struct.pack(">I", size + len(box))
        place, end = start + 8, start + size
    data[end:end] = box
    return bytes(data)
