"""HEIC pictures whose boxes turn and mirror them, as telephones write them: pillow-heif writes none of these."""

import io
import struct
from collections.abc import Iterator

import pillow_heif
from PIL import Image

Boxes = list[tuple[bytes, bytes]]


def heic(picture: Image.Image, *, turn: int = 0, mirror: int | None = None, brand: bytes = b"heic") -> bytes:
    """A HEIC picture. `turn`: quarter turns against the clock (irot); `mirror` (imir): after the turn, 0 swaps top and
    bottom, 1 left and right.
    """
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=95)
    properties = [_box(b"irot", bytes([turn]))] if turn else []
    properties += [_box(b"imir", bytes([mirror]))] if mirror is not None else []
    top = list(_boxes(buffer.getvalue()))
    content = dict(top)
    meta, start = list(_boxes(content[b"meta"][4:])), content[b"meta"][:4]
    added = sum(map(len, properties)) + len(properties)
    for at, (name, body) in enumerate(meta):
        if name == b"iprp":
            meta[at] = (name, _with_properties(list(_boxes(body)), properties))
        elif name == b"iloc":
            meta[at] = (name, _moved(body, added))
    parts = []
    for name, body in top:
        if name == b"ftyp":
            parts.append(_box(name, brand + body[4:]))
        elif name == b"meta":
            parts.append(_box(name, start + b"".join(_box(*one) for one in meta)))
        else:
            parts.append(_box(name, body))
    return b"".join(parts)


def _with_properties(boxes: Boxes, properties: list[bytes]) -> bytes:
    """The properties, and their places in the list of the only picture."""
    held = dict(boxes)
    first = len(list(_boxes(held[b"ipco"]))) + 1
    ipma = held[b"ipma"]
    assert ipma[:8] == b"\x00\x00\x00\x00\x00\x00\x00\x01", "one picture, with short numbers"
    places = bytes(0x80 | (first + number) for number in range(len(properties)))
    ipma = ipma[:10] + bytes([ipma[10] + len(properties)]) + ipma[11:] + places
    return _box(b"ipco", held[b"ipco"] + b"".join(properties)) + _box(b"ipma", ipma)


def _moved(iloc: bytes, by: int) -> bytes:
    """The places of the picture's bytes, which lie behind what grew."""
    assert iloc[0] == 0 and iloc[4:6] == b"\x44\x40", "places, lengths and starts of four bytes"
    body = bytearray(iloc)
    at = 8
    for _ in range(int.from_bytes(iloc[6:8], "big")):
        at += 4
        body[at : at + 4] = struct.pack(">I", int.from_bytes(body[at : at + 4], "big") + by)
        at += 6 + 8 * int.from_bytes(body[at + 4 : at + 6], "big")
    return bytes(body)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body
