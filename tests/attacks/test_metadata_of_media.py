"""Nobody and no export is given what a file tells about people and places, unless the operator keeps it."""

import hashlib
import io
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageSequence, PngImagePlugin
from pytest_django import Settings

from annotation.media.store import store
from guardapp.guard.media.orientation import of_exif
from guardapp.guard.media.strip import STRIPPERS, strip_file, stripped

SECRET = b"Anna Muster, 52.5200 N"
MIMES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x013B] = SECRET.decode()  # artist
    made[0x9286] = SECRET.decode()
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 29: SECRET.decode()})
    return made


def picture(kind: str, orientation: int = 6) -> bytes:
    """A picture with all the metadata that its format has."""
    shown = Image.effect_noise((41, 29), 60).convert("RGB")
    written = io.BytesIO()
    if kind == "JPEG":
        shown.save(written, kind, exif=exif(orientation), comment=SECRET, xmp=b"<x>" + SECRET, progressive=True)
        return written.getvalue() + b"\xff\xd8 a preview behind the picture " + SECRET
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Author", SECRET.decode())
        texts.add_itxt("Comment", SECRET.decode())
        texts.add_text("Place", SECRET.decode() * 9, zip=True)
        shown.save(written, kind, exif=exif(orientation), pnginfo=texts)
        return written.getvalue() + SECRET
    if kind == "WEBP":
        shown.save(written, kind, lossless=True, exif=exif(orientation), xmp=b"<x>" + SECRET)
        return written.getvalue()
    frames = [shown.quantize(16), shown.rotate(180).quantize(16)]
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:], loop=3, duration=70, comment=SECRET)
    return written.getvalue() + SECRET


def pixels(data: bytes) -> list[bytes]:
    return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


@pytest.mark.parametrize("kind", MIMES)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_keeps_its_pixels_and_orientation_and_loses_the_rest(kind: str, orientation: int) -> None:
    before = picture(kind, orientation)
    after = stripped(before, MIMES[kind])
    assert SECRET in before and SECRET not in after and b"Muster" not in after
    assert pixels(after) == pixels(before)
    left = dict(Image.open(io.BytesIO(after)).getexif())
    assert left == ({} if orientation == 1 or kind == "GIF" else {0x0112: orientation})
    if kind != "GIF":
        assert of_exif(Image.open(io.BytesIO(after)).info.get("exif")) == of_exif(exif(orientation).tobytes())
    assert stripped(after, MIMES[kind]) == after, "nothing is left to take"


def test_an_animation_keeps_its_times() -> None:
    after = Image.open(io.BytesIO(stripped(picture("GIF"), "image/gif")))
    assert (after.info["loop"], after.info["duration"], after.n_frames) == (3, 70, 2)  # type: ignore[attr-defined]
    assert "comment" not in after.info


@pytest.mark.parametrize("kind", MIMES)
def test_a_picture_without_metadata_stays_byte_for_byte(kind: str) -> None:
    written = io.BytesIO()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(written, kind)
    assert stripped(written.getvalue(), MIMES[kind]) == written.getvalue()


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def movie() -> bytes:
    place = box(b"udta", box(b"\xa9xyz", SECRET))
    track = box(b"trak", box(b"tkhd", b"\0" * 84) + box(b"meta", SECRET) + box(b"mdia", box(b"udta", SECRET)))
    whole = box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", box(b"mvhd", b"\0" * 100) + track + place)
    return whole + box(b"uuid", SECRET) + struct.pack(">I4sQ", 1, b"mdat", 16 + 4) + b"data" + box(b"meta", SECRET)


def test_a_movies_boxes_with_metadata_become_free_space_of_the_same_size(tmp_path: Path) -> None:
    path = tmp_path / "movie"
    before = movie()
    path.write_bytes(before)
    assert strip_file(path, "video/mp4")
    after = path.read_bytes()
    assert len(after) == len(before) and SECRET not in after and after.count(b"free") == 5
    assert after.index(b"mdat") == before.index(b"mdat") and b"data" in after
    assert not strip_file(path, "video/mp4")


@pytest.mark.django_db
@pytest.mark.parametrize("keep", [False, True])
def test_what_is_stored_has_metadata_only_where_the_operator_keeps_it(settings: Settings, keep: bool) -> None:
    settings.KEEP_METADATA = keep
    stored = store(picture("JPEG"))
    kept = (Path(settings.MEDIA_ROOT) / stored.path).read_bytes()
    assert (SECRET in kept) == keep
    assert (stored.sha256, stored.size) == (hashlib.sha256(kept).hexdigest(), len(kept))
    assert store(kept).sha256 == stored.sha256, "an export that goes in again is the same file"


def hostile() -> Iterator[tuple[str, bytes]]:
    dice = random.Random(3)
    for kind, mime in MIMES.items():
        whole = picture(kind)
        for _ in range(120):
            spoiled = bytearray(whole)
            for _ in range(dice.randint(1, 6)):
                spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
            yield mime, bytes(spoiled[: dice.randint(1, len(spoiled))])
            yield mime, whole[: dice.randint(0, 40)] + dice.randbytes(200)


def test_no_damaged_file_raises_or_loops(tmp_path: Path) -> None:
    for mime, data in hostile():
        after = stripped(data, mime)
        assert len(after) <= len(data) + 64
    dice, path = random.Random(5), tmp_path / "movie"
    for _ in range(300):
        spoiled = bytearray(movie())
        for _ in range(dice.randint(1, 6)):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        path.write_bytes(spoiled)
        strip_file(path, "video/mp4")
        assert path.stat().st_size == len(spoiled)
    deep = b""
    for _ in range(5_000):
        deep = box(b"moov", deep)
    path.write_bytes(deep)
    strip_file(path, "video/mp4")
    assert set(STRIPPERS) >= set(MIMES.values())
