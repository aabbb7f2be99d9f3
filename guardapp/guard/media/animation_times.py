"""How many frames an animated GIF, WebP or PNG has and how long each is shown, read from its blocks without decoding.

Cheap enough for the web process: pixel data is skipped.
"""

import os
import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from guardapp.guard.media.errors import MediaCorrupt, MediaError, MediaTruncated

# Browsers show a frame with so short a delay for REPLACED_MS: GIFs of the nineties said 0 and meant "as you like".
SHORTEST_KEPT_MS = 11
REPLACED_MS = 100
PNG_SIGNATURE = 8
FRAME_CONTROL = 26  # bytes of APNG's fcTL chunk
FRAME_HEAD = 16  # bytes of WebP's ANMF chunk before its picture
# Reads of a walk: a second of the decoding child, a tenth of that in the web process. A GIF needs one for 255 bytes.
MOST_READS = 3_000_000
MOST_READS_OF_WEB = 300_000


class _TooManyBlocks(MediaCorrupt):
    """The file has more blocks than any picture needs. Export it again from its source."""


class _Walk:
    """A file that is read forward, with a bound on the number of reads."""

    def __init__(self, stream: BinaryIO, most_reads: int) -> None:
        self._stream, self._left = stream, most_reads
        self.size = stream.seek(0, os.SEEK_END)
        stream.seek(0)

    def at_end(self) -> bool:
        return self.tell() >= self.size

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, count: int) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise _TooManyBlocks
        data = self._stream.read(count)
        if len(data) < count:
            raise MediaTruncated
        return data

    def skip(self, count: int) -> None:
        self.go_to(self.tell() + count)

    def go_to(self, place: int) -> None:
        if place > self.size:
            raise MediaTruncated
        self._stream.seek(place)


def frame_delays(stream: BinaryIO, mime: str, most_reads: int = MOST_READS) -> Iterator[int]:
    """Yield the delay of each frame in milliseconds, as browsers show it. A still picture has one frame or none.

    Raises MediaTruncated or MediaCorrupt where the file ends too early or is not built as its type demands.
    """
    for delay in _WALKS[mime](_Walk(stream, most_reads)):
        yield delay if delay >= SHORTEST_KEPT_MS else REPLACED_MS


def is_animated(stream: BinaryIO, mime: str) -> bool:
    """Whether there is a second frame.

    A file that breaks off before it counts as a still picture, one that is too long to tell as an animation.
    """
    if mime not in _WALKS:
        return False
    seen = 0
    try:
        for _ in islice(frame_delays(stream, mime, MOST_READS_OF_WEB), 2):
            seen += 1
    except _TooManyBlocks:
        return True
    except MediaError:
        pass
    return seen > 1


def _gif(walk: _Walk) -> Iterator[int]:
    """GIF89a: blocks until the trailer, which careless programs leave out."""
    _skip_colours(walk, walk.read(13)[10])
    delay = 0
    while not walk.at_end() and (kind := walk.read(1)) != b"\x3b":
        if kind == b"\x2c":
            _skip_colours(walk, walk.read(9)[8])
            walk.skip(1)  # the code size
            _skip_sub_blocks(walk)
            yield delay
            delay = 0
        elif kind == b"\x21":
            if walk.read(1) == b"\xf9":
                delay = int.from_bytes(walk.read(walk.read(1)[0])[1:3], "little") * 10
            _skip_sub_blocks(walk)
        elif kind != b"\x00":  # some programs pad with zeros
            raise MediaCorrupt("a GIF block of unknown kind")


def _skip_colours(walk: _Walk, flags: int) -> None:
    if flags & 0x80:
        walk.skip(3 << ((flags & 7) + 1))


def _skip_sub_blocks(walk: _Walk) -> None:
    while length := walk.read(1)[0]:
        walk.skip(length)


def _webp(walk: _Walk) -> Iterator[int]:
    end = int.from_bytes(walk.read(12)[4:8], "little") + 8
    while walk.tell() + 8 <= end:
        head = walk.read(8)
        length = int.from_bytes(head[4:], "little")
        after = walk.tell() + length
        if head[:4] == b"VP8X" and not walk.read(1)[0] & 0x02:
            return
        if head[:4] == b"ANMF":
            delay = int.from_bytes(walk.read(FRAME_HEAD)[12:15], "little")
            walk.go_to(after)
            yield delay
        walk.go_to(after)
        if length % 2 and not walk.at_end():
            walk.skip(1)


def _png(walk: _Walk) -> Iterator[int]:
    """APNG: an acTL chunk before the picture, and an fcTL for each frame."""
    walk.skip(PNG_SIGNATURE)
    animated = False
    while True:
        head = walk.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name == b"IEND" or (name == b"IDAT" and not animated):
            return
        after = walk.tell() + length + 4
        animated = animated or name == b"acTL"
        if name == b"fcTL" and animated:
            top, bottom = struct.unpack(">HH", walk.read(FRAME_CONTROL)[20:24])
            yield round(top * 1_000 / (bottom or 100))
        walk.go_to(after)


_WALKS = {"image/gif": _gif, "image/webp": _webp, "image/png": _png}
ANIMATIONS = tuple(_WALKS)
