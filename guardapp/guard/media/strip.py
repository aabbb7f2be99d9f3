"""Takes out of files what tells about people and places: EXIF, GPS, XMP, comments, names, previews, trailing data.

Nothing is decoded, so that the picture stays as it is, byte for byte. The orientation stays, since the picture would be
shown turned without it. A file that is not as its format says is returned as it is: nothing else reads it either.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 256 << 20  # of a picture, which is held in memory
MOST_PARTS, ZEROS = 100_000, 1 << 20
ORIENTATION = 0x0112
ICC = b"ICC_PROFILE\0"
PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sRGB sBIT bKGD pHYs hIST sPLT acTL fcTL fdAT cICP mDCV cLLI".split()
)
WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
# of ISO base media: boxes that are emptied, and those that may hold such
EMPTIED, ENTERED = (b"udta", b"meta", b"uuid", b"\xa9xyz"), (b"moov", b"trak", b"mdia", b"minf")
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)


class _Damaged(ValueError):
    """The file is not as its format says."""


def strip_file(path: Path, mime: str) -> bool:
    """Take metadata out of the file, in place. Returns whether anything was."""
    if mime in ("video/mp4", "video/quicktime"):
        with path.open("r+b") as file:
            return _empty_boxes(file, path.stat().st_size)
    if mime not in STRIPPERS or path.stat().st_size > MOST_BYTES:
        return False
    before = path.read_bytes()
    after = stripped(before, mime)
    if after == before:
        return False
    path.write_bytes(after)
    return True


def stripped(data: bytes, mime: str) -> bytes:
    """The picture without metadata; the same bytes if there is none, or if the file is damaged."""
    try:
        return STRIPPERS[mime](data)
    except (_Damaged, IndexError, struct.error):
        return data


def _jpeg(data: bytes) -> bytes:
    kept, at, turned = [data[:2]], 2, b""
    for _ in range(MOST_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise _Damaged
        # the picture's own bytes, between a scan's header and the next marker
        kept.append(data[at : found.start()])
        marker, at = found[1][0], found.end()
        if marker == 0xD9:
            return b"".join([kept[0], turned, *kept[1:], b"\xff\xd9"])
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            raise _Damaged
        body, at = data[at + 2 : at + length], at + length
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = _only_orientation(body[6:])
            turned = turned or (exif and b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif)
        elif marker in (0xE0, 0xEE) or (marker == 0xE2 and body.startswith(ICC)) or not 0xE0 <= marker <= 0xFE:
            kept.append(bytes((0xFF, marker)) + struct.pack(">H", length) + body)
    raise _Damaged


def _png(data: bytes) -> bytes:
    kept, at = [data[:8]], 8
    for _ in range(MOST_PARTS):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if len(chunk) != 12 + length:
            raise _Damaged
        at += 12 + length
        if kind in PNG_KEPT:
            kept.append(chunk)
        elif kind == b"eXIf" and (exif := _only_orientation(chunk[8:-4])):
            kept.append(struct.pack(">I", len(exif)) + kind + exif + struct.pack(">I", zlib.crc32(kind + exif)))
        if kind == b"IEND":
            return b"".join(kept)
    raise _Damaged


def _webp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    end, at, turned = min(8 + size, len(data)), 12, b""
    kept: list[bytes] = []
    for _ in range(MOST_PARTS):
        if at + 8 > end:
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        chunk = data[at : at + 8 + length + length % 2]
        if at + 8 + length > len(data):
            raise _Damaged
        at += len(chunk)
        if kind in WEBP_KEPT:
            kept.append(chunk)
        elif kind == b"EXIF" and (exif := _only_orientation(chunk[8:].removeprefix(b"Exif\0\0"))):
            turned = kind + struct.pack("<I", len(exif)) + exif
            kept.append(turned)
    if kept and kept[0][:4] == b"VP8X":  # its flags say whether EXIF (8) and XMP (4) follow
        kept[0] = kept[0][:8] + bytes((kept[0][8] & ~0b1100 | (8 if turned else 0),)) + kept[0][9:]
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _gif(data: bytes) -> bytes:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    kept = [data[:at]]
    for _ in range(MOST_PARTS):
        begins, kind = at, data[at]
        if kind == 0x3B:
            return b"".join([*kept, b"\x3b"])
        if kind == 0x21:
            label, first = data[at + 1], data[at + 3 : at + 3 + data[at + 2]]
            at = _blocks_end(data, at + 2)
            if label == 0xFE or (label == 0xFF and first not in GIF_KEPT):
                continue
        elif kind == 0x2C:
            at += 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
            at = _blocks_end(data, at + 1)
        else:
            raise _Damaged
        kept.append(data[begins:at])
    raise _Damaged


def _blocks_end(data: bytes, at: int) -> int:
    while length := data[at]:
        at += length + 1
    return at + 1


def _only_orientation(tiff: bytes) -> bytes:
    """A TIFF block with nothing but the orientation; empty if the picture is upright."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return b""
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for number in range(min(count, 500)):
            tag, kind, _count, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * number)
            if tag == ORIENTATION and kind == 3 and 2 <= value <= 8:
                return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, ORIENTATION, 3, 1, value, 0, 0)
    except struct.error:
        pass
    return b""


def _empty_boxes(file: BinaryIO, size: int) -> bool:
    """Turn boxes with metadata into free space, of zeros, so that no offset in the file changes."""
    todo, parts, changed = [(0, size)], 0, False
    while todo:
        for kind, at, body, end in _boxes(file, *todo.pop()):
            parts += 1
            if parts > MOST_PARTS:
                return changed
            if kind in ENTERED:
                todo.append((body, end))
            elif kind in EMPTIED:
                file.seek(at + 4)
                file.write(b"free")
                file.seek(body)
                for left in range(end - body, 0, -ZEROS):
                    file.write(bytes(min(left, ZEROS)))
                changed = True
    return changed


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, place, place of the body and end of each box; ends at the first that does not fit."""
    at = begin
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        size, kind = struct.unpack_from(">I4s", head)
        body = at + 8
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
            body = at + 16
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            return
        yield kind, at, body, at + size
        at += size


STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/apng": _png,
    "image/webp": _webp,
    "image/gif": _gif,
}
