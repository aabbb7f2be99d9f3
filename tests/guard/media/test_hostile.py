"""Broken and hostile files become an error that says what to do."""

import io
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guardapp.guard.media.decode import Job, Limits, MediaError, decode_many, sniff
from guardapp.guard.media.errors import ERROR_BY_CODE
from tests.guard.media.checks import (
    FAST_VP9,
    OMNI,
    refusal,
)
from tests.guard.media.samples import make_audio, make_video, quarters


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def picture_bytes(kind: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    stream = io.BytesIO()
    noise.save(stream, kind)
    return stream.getvalue()


def gif_bomb() -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0)
        + b"\0" * 6
        + b"\x2c"
        + b"\0" * 9
        + b"\x02\x01\x00\x00\x3b"
    )


HOSTILE: list[tuple[str, Callable[[], bytes], set[str]]] = [
    ("empty", lambda: b"", {"media_empty"}),
    ("text named mp4", lambda: b"not a video at all\n" * 50, {"media_type_not_supported"}),
    ("huge png header", lambda: png_header(100_000, 100_000), {"media_too_large"}),
    ("gif bomb", gif_bomb, {"media_too_large"}),
    ("png without pixels", lambda: png_header(300, 300), {"media_corrupt", "media_truncated"}),
    ("cut jpeg", lambda: cut(picture_bytes("JPEG")), {"media_truncated"}),
    ("cut png", lambda: cut(picture_bytes("PNG")), {"media_truncated"}),
    ("cut gif", lambda: cut(picture_bytes("GIF")), {"media_truncated"}),
    ("cut webp", lambda: cut(picture_bytes("WEBP")), {"media_truncated"}),
    ("cut avif", lambda: cut(picture_bytes("AVIF")), {"media_truncated", "media_corrupt"}),
    ("png head then junk", lambda: b"\x89PNG\r\n\x1a\n" + os.urandom(4_000), {"media_corrupt"}),
    ("jpeg head then junk", lambda: b"\xff\xd8\xff\xe0" + os.urandom(4_000), {"media_corrupt", "media_truncated"}),
    (
        "mp4 head then junk",
        lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + os.urandom(9_000),
        {"media_corrupt", "media_truncated"},
    ),
    ("webm head then junk", lambda: b"\x1a\x45\xdf\xa3\x9fB\x82\x84webm" + os.urandom(9_000), {"media_corrupt"}),
]


@pytest.mark.parametrize(("content", "codes"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, content: Callable[[], bytes], codes: set[str]) -> None:
    source = tmp_path / "upload.mp4"
    source.write_bytes(content())
    error = refusal(source, tmp_path / "out")
    assert error.code in codes
    assert ERROR_BY_CODE[error.code] is type(error)
    assert str(tmp_path) not in str(error)


@pytest.mark.parametrize("name", ["a.mp4", "b.mp4", "a.webm", "a.mkv"])
def test_a_cut_video_is_refused_as_truncated(tmp_path: Path, name: str) -> None:
    options = FAST_VP9 if name.endswith("webm") else {}
    head_first = {"movflags": "faststart"} if name == "b.mp4" else {}
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    source = make_video(tmp_path / name, codec=codec, frames=60, options=options, container_options=head_first)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert refusal(source, tmp_path / "out").code == "media_truncated"


def test_damage_inside_a_video_is_an_error_or_whole_frames_and_never_fewer(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", frames=60, size=(256, 192))
    data = bytearray(source.read_bytes())
    outcomes = []
    for seed in range(4):
        damaged = bytearray(data)
        for place in np.random.default_rng(seed).integers(200, len(data) * 2 // 3, 40):
            damaged[place] ^= 0xFF
        source.write_bytes(damaged)
        outcomes.append(decode_many([Job(source, tmp_path / f"out{seed}")], OMNI)[0])
    for outcome in outcomes:
        assert isinstance(outcome, MediaError) or len(outcome.seen.frames) == 12


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    assert refusal(make_audio(tmp_path / "a.mp4"), tmp_path / "out").code == "media_no_video_stream"


def test_pipes_devices_folders_and_missing_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    started = time.monotonic()
    for source in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "nothing"):
        assert refusal(source, tmp_path / "out").code == "media_not_a_file"
        with pytest.raises(MediaError):
            sniff(source)
    assert time.monotonic() - started < 1


def test_a_file_over_the_size_limit_is_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "a.mp4").open("wb") as stream:
        stream.truncate(1 << 40)
    assert refusal(tmp_path / "a.mp4", tmp_path / "out").code == "media_too_large"


def test_the_limits_on_pixels_length_and_frames_hold(tmp_path: Path) -> None:
    quarters(300, 300).save(tmp_path / "a.png")
    video = make_video(tmp_path / "a.mp4")
    refused = [
        (tmp_path / "a.png", Limits(max_image_pixels=80_000), "media_too_large"),
        (video, Limits(max_video_pixels=12_000), "media_too_large"),
        (video, Limits(max_duration_s=2.0), "media_too_long"),
        (video, Limits(max_source_frames=29), "media_too_long"),
        (video, Limits(max_frame_bytes=100), "media_storage_failed"),
    ]
    for source, limits, code in refused:
        assert refusal(source, tmp_path / "out", limits=limits).code == code


def test_a_file_that_needs_too_much_memory_costs_the_child_only(tmp_path: Path) -> None:
    Image.new("RGB", (7_900, 7_900)).save(tmp_path / "a.png", compress_level=1)
    assert (
        refusal(tmp_path / "a.png", tmp_path / "out", limits=Limits(memory_bytes=150 << 20)).code
        == "media_out_of_memory"
    )
    video = make_video(tmp_path / "a.mp4", size=(1920, 1088), frames=4)
    # a decoder on one core has fewer threads, and at 160 it has enough
    for mebibytes in (60, 110, 130):
        assert (
            refusal(video, tmp_path / "out", limits=Limits(memory_bytes=mebibytes << 20)).code == "media_out_of_memory"
        )


def test_every_error_has_its_own_code_and_says_what_to_do() -> None:
    assert len(ERROR_BY_CODE) == len(MediaError.__subclasses__())
    for code, kind in ERROR_BY_CODE.items():
        assert code.startswith("media_")
        assert str(kind("some detail")).endswith(". (some detail)") and len(str(kind())) > 40
