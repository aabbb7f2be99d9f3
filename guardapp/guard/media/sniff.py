"""Detect the media type by the first bytes, never by the file name. Cheap enough for the web process."""

import os
import stat
from pathlib import Path

from guardapp.guard.media.errors import MediaEmpty, MediaNotAFile, MediaTypeNotSupported
from guardapp.guard.taxonomy import MediaKind

HEAD_BYTES = 4_096

# First bytes of common unsupported types, so that the error can say what was sent.
REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x7fELF", "a Linux program"),
    (b"MZ", "a Windows program"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"ID3", "an MP3 sound"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC sound"),
    (b"FLV", "a Flash video"),
    (b"\x1f\x8b", "a gzip archive"),
)
REFUSED_BRANDS = {
    b"heic": "a HEIC picture", b"heix": "a HEIC picture", b"heim": "a HEIC picture", b"heis": "a HEIC picture",
    b"hevc": "a HEIC sequence", b"hevx": "a HEIC sequence", b"mif1": "a HEIF picture", b"msf1": "a HEIF sequence",
    b"M4A ": "an M4A sound", b"M4B ": "an M4B audiobook", b"crx ": "a Canon raw picture",
}  # fmt: skip


def sniff(source: Path | bytes) -> tuple[MediaKind, str]:
    """Return (kind, MIME type) of a file, or of its first bytes (4,096 are enough).

    Raises MediaEmpty, MediaNotAFile (a pipe, device, folder or missing file) or MediaTypeNotSupported.
    """
    head = source if isinstance(source, bytes) else _head(source)
    if not head:
        raise MediaEmpty
    kind = _image(head) or _video(head)
    if kind is None:
        raise MediaTypeNotSupported(f"this is {_describe(head)}")
    return kind


def file_size(source: Path) -> int:
    """Size of a regular file in bytes, found without opening it. Raises MediaNotAFile."""
    try:
        status = source.stat()
    except OSError as error:
        raise MediaNotAFile(error.strerror or "") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaNotAFile("a pipe, a device or a folder")
    return status.st_size


def _head(source: Path) -> bytes:
    file_size(source)
    try:
        # O_NONBLOCK: a pipe that replaced the file since the check must not block us
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise MediaNotAFile(error.strerror or "") from error
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(HEAD_BYTES)


def _image(head: bytes) -> tuple[MediaKind, str] | None:
    if head.startswith(b"\xff\xd8\xff"):
        return MediaKind.IMAGE, "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return MediaKind.IMAGE, "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return MediaKind.IMAGE, "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return MediaKind.IMAGE, "image/webp"
    if {b"avif", b"avis"} & set(_brands(head)):
        return MediaKind.IMAGE, "image/avif"
    return None


def _video(head: bytes) -> tuple[MediaKind, str] | None:
    brands = _brands(head)
    if brands and brands[0] not in REFUSED_BRANDS:
        return MediaKind.VIDEO, "video/quicktime" if brands[0] == b"qt  " else "video/mp4"
    # QuickTime older than the ftyp box
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return MediaKind.VIDEO, "video/quicktime"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        if b"webm" in head[:64]:
            return MediaKind.VIDEO, "video/webm"
        if b"matroska" in head[:64]:
            return MediaKind.VIDEO, "video/x-matroska"
    return None


def _brands(head: bytes) -> list[bytes]:
    """The major brand, then the compatible ones, from the ftyp box of an ISO media file; [] for other files."""
    if head[4:8] != b"ftyp" or len(head) < 12:
        return []
    box = head[: min(int.from_bytes(head[:4], "big"), 256)]
    return [head[8:12], *(box[at : at + 4] for at in range(16, len(box) - 3, 4))]


def _describe(head: bytes) -> str:
    for magic, name in REFUSED:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF":
        return {b"AVI ": "an AVI video", b"WAVE": "a WAV sound"}.get(head[8:12], "a RIFF file")
    brands = _brands(head)
    if brands:
        return REFUSED_BRANDS[brands[0]]
    text = head[:64].decode("utf-8", "ignore").strip()
    if text and all(character.isprintable() or character.isspace() for character in text):
        return "an HTML page, SVG or XML" if text.startswith("<") else "plain text"
    return f"a file that starts with the bytes {head[:8].hex(' ')}"
