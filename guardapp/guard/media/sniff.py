"""Detect the media type by content, never by the file name. Cheap enough for the web process."""

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from guardapp.guard.media.animation_times import is_animated
from guardapp.guard.media.errors import MediaEmpty, MediaNotAFile, MediaTypeNotSupported
from guardapp.guard.taxonomy import MediaKind

HEAD_BYTES = 4_096
TS_PACKET = 188
TS_SYNC = 0x47
# sizes of the header that follows a BMP's file header, by version
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)

# First bytes of common unsupported types, so that the error can say what was sent.
REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x7fELF", "a Linux program"),
    (b"MZ", "a Windows program"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"0&\xb2u\x8ef\xcf\x11", "a Windows Media video"),
    (b"ID3", "an MP3 sound"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC sound"),
    (b"FLV", "a Flash video"),
    (b"\x1f\x8b", "a gzip archive"),
)
REFUSED_BRANDS = {b"M4A ": "an M4A sound", b"M4B ": "an M4B audiobook", b"crx ": "a Canon raw picture"}
# The types of HEIF (ISO/IEC 23008-12) by major brand. mif1 and msf1 say only that there are pictures or a sequence;
# the compatible brands then name the codec.
STILL_BRANDS = {
    b"avif": "image/avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    b"mif1": "image/heif",
}
SEQUENCE_BRANDS = {
    b"avis": "image/avif-sequence",
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic-sequence"),
    b"msf1": "image/heic-sequence",
}

# A sequence without a movie box holds only its still picture.
STILL_OF = {"image/avif-sequence": "image/avif", "image/heic-sequence": "image/heic"}
MOST_BOXES = 100


def sniff(source: Path | bytes) -> tuple[MediaKind, str]:
    """Return (kind, MIME type) of a file or of its bytes. An animated picture is a video.

    The first HEAD_BYTES bytes are enough for everything but a second frame. Raises MediaEmpty, MediaNotAFile (a pipe,
    device, folder or missing file) or MediaTypeNotSupported.
    """
    with _opened(source) as stream:
        head = stream.read(HEAD_BYTES)
        if not head:
            raise MediaEmpty
        mime = _image(head)
        if mime is not None:
            return (MediaKind.VIDEO if is_animated(stream, mime) else MediaKind.IMAGE), mime
        mime = _video(head)
        if mime in STILL_OF and not _has_movie(stream):
            return MediaKind.IMAGE, STILL_OF[mime]
    if mime is None:
        raise MediaTypeNotSupported(f"this is {_describe(head)}")
    return MediaKind.VIDEO, mime


def file_size(source: Path) -> int:
    """Size of a regular file in bytes, found without opening it. Raises MediaNotAFile."""
    try:
        status = source.stat()
    except OSError as error:
        raise MediaNotAFile(error.strerror or "") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaNotAFile("a pipe, a device or a folder")
    return status.st_size


def _opened(source: Path | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    file_size(source)
    try:
        # O_NONBLOCK: a pipe that replaced the file since the check must not block us
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise MediaNotAFile(error.strerror or "") from error
    return os.fdopen(descriptor, "rb")


def _image(head: bytes) -> str | None:
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in BMP_HEADERS:
        return "image/bmp"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")) and head[8:10] != b"CR":
        return "image/tiff"
    return _heif(_brands(head))


def _heif(brands: list[bytes]) -> str | None:
    """The type of a HEIF picture; sequences are told by `_video`."""
    if not brands or brands[0] not in STILL_BRANDS:
        return None
    named = [STILL_BRANDS[brand] for brand in brands if brand in STILL_BRANDS and brand != b"mif1"]
    return named[0] if named else STILL_BRANDS[brands[0]]


def _video(head: bytes) -> str | None:
    brands = _brands(head)
    if brands and brands[0] in SEQUENCE_BRANDS:
        return SEQUENCE_BRANDS[b"avis" if b"avis" in brands else brands[0]]
    if brands and brands[0] not in REFUSED_BRANDS:
        return "video/quicktime" if brands[0] == b"qt  " else "video/mp4"
    # QuickTime older than the ftyp box
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "video/quicktime"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        if b"webm" in head[:64]:
            return "video/webm"
        if b"matroska" in head[:64]:
            return "video/x-matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video/x-msvideo"
    if head.startswith(b"\x00\x00\x01\xba"):
        return "video/mpeg"
    return "video/mp2t" if _is_transport_stream(head) else None


def _has_movie(stream: BinaryIO) -> bool:
    """Whether an ISO media file has a movie box among its outermost boxes; it is taken to have where it ends early."""
    at, size = 0, stream.seek(0, os.SEEK_END)
    for _ in range(MOST_BOXES):
        stream.seek(at)
        header = stream.read(16)
        if len(header) < 8 or header[4:8] == b"moov":
            return len(header) >= 8 or at > size
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return False
        at += length
    return False


def _is_transport_stream(head: bytes) -> bool:
    """A sync byte at the start of every packet of 188 bytes; of 192, with a time before each, on discs and cameras."""
    for first, step in ((0, TS_PACKET), (4, TS_PACKET + 4)):
        places = range(first, len(head), step)
        marks = [head[place] == TS_SYNC for place in places]
        # received over the air, a packet may be damaged
        if len(marks) > 1 and all(marks[:3]) and sum(marks) >= len(marks) * 3 / 4:
            return True
    return False


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
        return {b"WAVE": "a WAV sound"}.get(head[8:12], "a RIFF file")
    if head[8:10] == b"CR" and head[:2] == b"II":
        return "a Canon raw picture"
    brands = _brands(head)
    if brands:
        return REFUSED_BRANDS[brands[0]]
    text = head[:64].decode("utf-8", "ignore").strip()
    if text and all(character.isprintable() or character.isspace() for character in text):
        return "an HTML page, SVG or XML" if text.startswith("<") else "plain text"
    return f"a file that starts with the bytes {head[:8].hex(' ')}"
