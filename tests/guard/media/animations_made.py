"""Animated GIF, WebP and PNG put together from pieces, so that a test says where each piece lies, how long it stays,
how it is laid over what was there and what becomes of it afterwards.
"""

import io
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

KEEP, CLEAR, RESTORE = 0, 1, 2  # what becomes of the piece's area before the next piece, as APNG counts
PALETTE = [(220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255), (0, 0, 0), (240, 200, 20), (20, 200, 220)]
TRANSPARENT = len(PALETTE)
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame as the file holds it: an RGBA picture of palette colours at a place of the canvas."""

    picture: Image.Image
    at: tuple[int, int] = (0, 0)
    delay_ms: int = 100
    disposal: int = KEEP
    over: bool = True  # laid over what is there; otherwise it replaces it, its transparency included


def coloured(size: Size, colour: tuple[int, int, int] | None) -> Image.Image:
    """A picture of one colour; None is transparent."""
    return Image.new("RGBA", size, (0, 0, 0, 0) if colour is None else (*colour, 255))


def gif(
    canvas: Size, pieces: Sequence[Piece], *, background: int = 4, loops: int | None = 0, end: bool = True
) -> bytes:
    """A GIF89a whose transparent pixels are an index of their own."""
    parts = [b"GIF89a", struct.pack("<HHBBB", *canvas, 0xF2, background, 0)]
    parts.append(b"".join(bytes(colour) for colour in [*PALETTE, (9, 9, 9)]))
    if loops is not None:
        parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loops) + b"\x00")
    for piece in pieces:
        flags = ({KEEP: 1, CLEAR: 2, RESTORE: 3}[piece.disposal] << 2) | 1
        parts.append(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, piece.delay_ms // 10, TRANSPARENT, 0))
        parts.append(b"\x2c" + struct.pack("<HHHHB", *piece.at, *piece.picture.size, 0))
        parts.append(b"\x03" + _sub_blocks(_lzw(_indices(piece.picture))))
    return b"".join([*parts, b"\x3b" if end else b""])


def _indices(picture: Image.Image) -> bytes:
    known = {bytes(colour): index for index, colour in enumerate(PALETTE)}
    raw = picture.convert("RGBA").tobytes()
    return bytes(known[raw[at : at + 3]] if raw[at + 3] else TRANSPARENT for at in range(0, len(raw), 4))


def _lzw(indices: bytes) -> bytes:
    """Codes of four bits, with a clear code before the table would make them longer."""
    bits = count = 0
    out = bytearray()
    codes: list[int] = []
    for start in range(0, len(indices), 6):
        codes += [8, *indices[start : start + 6]]
    for code in [*codes, 9]:
        bits |= code << count
        count += 4
        while count >= 8:
            out.append(bits & 0xFF)
            bits, count = bits >> 8, count - 8
    return bytes(out) + (bytes([bits]) if count else b"")


def _sub_blocks(data: bytes) -> bytes:
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"


def webp(canvas: Size, pieces: Sequence[Piece], *, exif: bytes = b"") -> bytes:
    """A lossless animated WebP. Places are even numbers; RESTORE does not exist there."""
    chunks = [
        _riff(b"VP8X", struct.pack("<I", 0x12 | (8 if exif else 0)) + _three(canvas[0] - 1) + _three(canvas[1] - 1))
    ]
    chunks.append(_riff(b"ANIM", b"\x00\x00\x00\x00\x00\x00"))
    for piece in pieces:
        buffer = io.BytesIO()
        piece.picture.save(buffer, "WEBP", lossless=True, exact=True)
        how = (0 if piece.over else 2) | (1 if piece.disposal == CLEAR else 0)
        head = b"".join(
            _three(value)
            for value in (
                piece.at[0] // 2,
                piece.at[1] // 2,
                piece.picture.width - 1,
                piece.picture.height - 1,
                piece.delay_ms,
            )
        )
        chunks.append(_riff(b"ANMF", head + bytes([how]) + _bitstream(buffer.getvalue())))
    if exif:
        chunks.append(_riff(b"EXIF", exif))
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bitstream(still: bytes) -> bytes:
    """The chunks of a still WebP that hold its pixels."""
    at, kept = 12, b""
    while at < len(still):
        size = int.from_bytes(still[at + 4 : at + 8], "little")
        whole = still[at : at + 8 + size + size % 2]
        if whole[:4] in (b"VP8 ", b"VP8L", b"ALPH"):
            kept += whole
        at += len(whole)
    return kept


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def apng(
    canvas: Size, pieces: Sequence[Piece], *, default: Image.Image | None = None, loops: int = 0, before: bytes = b""
) -> bytes:
    """An animated PNG. `default`: a picture outside the animation for programs that show no animations; `before`:
    chunks between the header and the animation.
    """
    chunks = [_png(b"IHDR", struct.pack(">IIBBBBB", *canvas, 8, 6, 0, 0, 0)), before]
    chunks.append(_png(b"acTL", struct.pack(">II", len(pieces), loops)))
    sequence = 0
    if default is not None:
        chunks.append(_png(b"IDAT", _rows(default)))
    for number, piece in enumerate(pieces):
        place = struct.pack(">IIIII", sequence, *piece.picture.size, *piece.at)
        rest = struct.pack(">HHBB", piece.delay_ms, 1_000, piece.disposal, piece.over)
        chunks.append(_png(b"fcTL", place + rest))
        sequence += 1
        if number == 0 and default is None:
            chunks.append(_png(b"IDAT", _rows(piece.picture)))
        else:
            chunks.append(_png(b"fdAT", struct.pack(">I", sequence) + _rows(piece.picture)))
            sequence += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + _png(b"IEND", b"")


def _rows(picture: Image.Image) -> bytes:
    raw, width = picture.convert("RGBA").tobytes(), picture.width * 4
    return zlib.compress(b"".join(b"\x00" + raw[at : at + width] for at in range(0, len(raw), width)))


def _png(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def random_pieces(dice: random.Random, name: str, canvas: Size) -> list[Piece]:
    """Pieces of two colours, or none, anywhere on the canvas, with every way of laying over and clearing away."""
    step = 2 if name == "webp" else 1
    pieces = []
    for number in range(dice.randrange(2, 8)):
        width, height = dice.randrange(2, canvas[0], 2), dice.randrange(2, canvas[1], 2)
        if name == "png" and number == 0:  # as large as the canvas
            width, height = canvas
        at = (dice.randrange(0, canvas[0] - width + 1, step), dice.randrange(0, canvas[1] - height + 1, step))
        picture = coloured((width, height), dice.choice([*PALETTE, None]))
        picture.paste(coloured((width // 2, height), dice.choice([*PALETTE, None])), (0, 0))
        disposal = dice.choice([KEEP, CLEAR] if name == "webp" else [KEEP, CLEAR, RESTORE])
        over = name == "gif" or dice.random() < 0.5
        pieces.append(Piece(picture, at, dice.choice([0, 20, 50, 100, 700]), disposal, over))
    return pieces
