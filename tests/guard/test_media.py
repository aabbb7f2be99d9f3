"""Untrusted files become frames, or an error that says what to do; nothing hangs and nothing kills the caller."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guardapp.guard import media_process
from guardapp.guard.media import DEFAULT_LIMITS, PRESETS, Decoded, Job, Limits, MediaError, decode, decode_many, load_seen, sniff
from guardapp.guard.media_errors import ERROR_BY_CODE
from guardapp.guard.media_process import Sandbox
from guardapp.guard.media_sizes import fit_size, pick_frames
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import MediaPreset
from tests.guard.media_samples import BLUE, GREEN, RED, WHITE, make_audio, make_slow_video, make_video, number_in, quarters

STARTER, OMNI = PRESETS["starter"], PRESETS["omni-148k"]
PYAV_ONLY = Limits(decord_pixels=0)
REFERENCE = Path(os.environ.get("GUARDAPP_REFERENCE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "media"


def refusal(source: Path, out_dir: Path, preset: MediaPreset = STARTER, limits: Limits = DEFAULT_LIMITS) -> MediaError:
    """The error of a file that must be refused, after seeing that nothing of it was kept."""
    with pytest.raises(MediaError) as caught:
        decode(source, out_dir, preset, limits)
    assert not out_dir.exists()
    assert not list(out_dir.parent.glob(f".{out_dir.name}*"))
    return caught.value


def timestamps(decoded: Decoded) -> list[float]:
    return [frame.timestamp_s for frame in decoded.seen.frames]


def numbers(decoded: Decoded) -> list[int]:
    return [number_in(frame.path) for frame in decoded.seen.frames]


def pixel(decoded: Decoded, x: float, y: float, frame: int = 0) -> tuple[int, int, int]:
    """The colour at a place given as a share of the width and the height."""
    with Image.open(decoded.seen.frames[frame].path) as image:
        assert image.mode == "RGB"
        assert image.size == (decoded.width, decoded.height)
        return image.getpixel((int(x * image.width), int(y * image.height)))  # type: ignore[return-value]


def near(colour: tuple[int, int, int], wanted: tuple[int, int, int], tolerance: int = 40) -> bool:
    return all(abs(one - other) <= tolerance for one, other in zip(colour, wanted, strict=True))


# -- sniffing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mime"),
    [("a.jpg", "image/jpeg"), ("a.png", "image/png"), ("a.webp", "image/webp"), ("a.gif", "image/gif"), ("a.avif", "image/avif")],
)
def test_a_picture_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path, name: str, mime: str) -> None:
    quarters().save(tmp_path / name)
    disguised = (tmp_path / name).rename(tmp_path / "file.mp4")
    assert sniff(disguised) == (MediaKind.IMAGE, mime)
    assert sniff(disguised.read_bytes()[:64]) == (MediaKind.IMAGE, mime)
    assert decode(disguised, tmp_path / "out", STARTER).mime == mime


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"just some words", "plain text"),
        (b"<html><script>", "an HTML page"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC picture"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42", "an M4A sound"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "an AVI video"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "00 01 02 03"),
        (b"#EXTM3U\nhttp://example.org/a.ts", "plain text"),
    ],
)
def test_an_unknown_type_is_refused_by_the_name_of_what_was_found_and_what_is_accepted(head: bytes, found: str) -> None:
    with pytest.raises(MediaError) as caught:
        sniff(head)
    assert caught.value.code == "media_type_not_supported"
    assert found in str(caught.value)
    assert "JPEG" in str(caught.value) and "WebM" in str(caught.value)


def test_the_public_module_loads_no_decoder() -> None:
    program = "import sys, guardapp.guard.media; print([m for m in ('av', 'decord', 'PIL', 'torch', 'numpy') if m in sys.modules])"
    root = str(Path(media_process.__file__).parents[2])
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": root})
    assert answer.stdout.strip() == "[]"


# -- sizes and times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (480, 640), (1920, 1080), (20, 4_000), (4_000, 20), (31, 29), (12_000, 9_000)])
def test_every_size_fits_the_budget_of_every_preset(preset: MediaPreset, size: tuple[int, int]) -> None:
    for low, high in (
        (preset.image_min_pixels, preset.image_max_pixels),
        (preset.min_pixels_per_frame, preset.max_pixels_per_frame),
    ):
        width, height = fit_size(*size, low, high, preset.size_multiple)
        assert width % preset.size_multiple == height % preset.size_multiple == 0
        assert width * height <= high
        assert width * height >= low or max(size) / min(size) > 50


@pytest.mark.parametrize(
    ("size", "fitted"), [((640, 480), (644, 476)), ((1000, 1000), (1008, 1008)), ((3000, 2000), (1932, 1288)), ((20, 20), (56, 56))]
)
def test_sizes_equal_those_of_the_qwen_processor(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    preset = PRESETS["vl"]
    high = 2_500_000 if size == (3000, 2000) else preset.image_max_pixels
    assert fit_size(*size, preset.image_min_pixels, high, 28) == fitted


@pytest.mark.parametrize(
    ("times", "end", "fps", "low", "high", "picked"),
    [
        ([0.0], 0.1, 2.0, 1, 16, [0]),
        ([i / 10 for i in range(30)], 3.0, 2.0, 1, 16, [0, 5, 10, 15, 20, 25]),
        ([i / 10 for i in range(30)], 3.0, 2.0, 1, 3, [0, 14, 29]),
        ([i / 10 for i in range(30)], 3.0, 0.1, 4, 16, [0, 9, 19, 29]),
        ([5.0, 5.5, 6.0], 6.5, 1.0, 1, 16, [0, 2]),
        ([0.0, 0.1, 9.0], 9.1, 1.0, 1, 16, [0, 1, 2]),
        ([0.0, 9.9, 9.95], 10.0, 0.1, 3, 16, [0, 1, 2]),
        ([0.0, 1.0], 2.0, 1.0, 4, 16, [0, 1]),
    ],
)
def test_frames_are_picked_by_time(
    times: list[float], end: float, fps: float, low: int, high: int, picked: list[int]
) -> None:
    assert pick_frames(times, end, fps, low, high) == picked


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.avif"])
def test_each_picture_format_becomes_one_rgb_frame(tmp_path: Path, name: str) -> None:
    quarters(300, 200).save(tmp_path / name)
    decoded = decode(tmp_path / name, tmp_path / "out", STARTER)
    assert (decoded.reader, decoded.seen.kind, decoded.seen.fps) == ("pillow", MediaKind.IMAGE, None)
    assert (decoded.source_width, decoded.source_height) == (300, 200)
    assert (decoded.width, decoded.height) == (288, 192)
    assert near(pixel(decoded, 0.2, 0.2), RED) and near(pixel(decoded, 0.8, 0.2), GREEN)
    assert near(pixel(decoded, 0.2, 0.8), BLUE) and near(pixel(decoded, 0.8, 0.8), WHITE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180], 4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }  # fmt: skip
    picture = quarters(320, 160)
    for step in undo.get(orientation, []):
        picture = picture.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.jpg", exif=exif)
    decoded = decode(tmp_path / "a.jpg", tmp_path / "out", STARTER)
    assert (decoded.width, decoded.height) == (320, 160)
    assert near(pixel(decoded, 0.2, 0.2), RED) and near(pixel(decoded, 0.8, 0.2), GREEN)
    assert near(pixel(decoded, 0.2, 0.8), BLUE)
    turned = Image.Transpose
    shown = quarters(320, 160) if orientation == 1 else picture
    if decoded.mirrored:
        shown = shown.transpose(turned.FLIP_LEFT_RIGHT)
    shown = shown.rotate(-decoded.rotation, expand=True)
    assert near(shown.getpixel((40, 30)), RED) and near(shown.getpixel((280, 30)), GREEN)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif", "a.avif"])
def test_transparent_parts_are_shown_on_white(tmp_path: Path, name: str) -> None:
    picture = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    picture.paste((*RED, 255), (0, 0, 64, 128))
    picture.save(tmp_path / name)
    decoded = decode(tmp_path / name, tmp_path / "out", STARTER)
    assert near(pixel(decoded, 0.2, 0.5), RED) and near(pixel(decoded, 0.8, 0.5), WHITE, 60)


def test_palette_cmyk_grey_and_sixteen_bit_pictures_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 128, dtype=np.uint16), (128, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    quarters().quantize(8).save(tmp_path / "palette.png")
    quarters().convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.new("LA", (64, 64), (100, 255)).save(tmp_path / "grey.png")
    Image.new("1", (64, 64), 1).save(tmp_path / "bits.png")
    deep, palette, cmyk, grey, bits = (
        decode(tmp_path / name, tmp_path / f"{name}.out", STARTER)
        for name in ("deep.png", "palette.png", "cmyk.jpg", "grey.png", "bits.png")
    )
    assert near(pixel(deep, 0.25, 0.5), (64, 64, 64), 8) and near(pixel(deep, 0.75, 0.5), (192, 192, 192), 8)
    assert near(pixel(palette, 0.2, 0.2), RED) and near(pixel(cmyk, 0.8, 0.2), GREEN)
    assert near(pixel(grey, 0.5, 0.5), (100, 100, 100), 2) and near(pixel(bits, 0.5, 0.5), (255, 255, 255), 2)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.avif", "a.png"])
def test_an_animation_is_seen_as_its_first_frame(tmp_path: Path, name: str) -> None:
    first, second = Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), BLUE)
    first.save(tmp_path / name, save_all=True, append_images=[second, first], duration=100)
    decoded = decode(tmp_path / name, tmp_path / "out", STARTER)
    assert len(decoded.seen.frames) == 1 and near(pixel(decoded, 0.5, 0.5), RED)


def test_a_strip_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (2_010, 10)).save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png", tmp_path / "out").code == "media_too_narrow"


# -- video -------------------------------------------------------------------------------------------------------------

FAST_VP9 = {"cpu-used": "8", "deadline": "realtime"}
CODECS = [
    ("a.mp4", "libx264", {}, "decord", "h264"),
    ("a.mov", "libx264", {}, "decord", "h264"),
    ("a.mkv", "libx264", {}, "decord", "h264"),
    ("b.mp4", "libx265", {"x265-params": "log-level=none:pools=1"}, "decord", "hevc"),
    ("c.mp4", "mpeg4", {}, "decord", "mpeg4"),
    ("a.webm", "libvpx-vp9", FAST_VP9, "decord", "vp9"),
]


@pytest.mark.parametrize(("name", "encoder", "options", "reader", "codec"), CODECS)
def test_each_video_format_gives_the_right_frames_with_both_readers(
    tmp_path: Path, name: str, encoder: str, options: dict[str, str], reader: str, codec: str
) -> None:
    source = make_video(tmp_path / name, codec=encoder, options=options)
    decoded = decode(source, tmp_path / "out", OMNI)
    assert decoded.reader == (reader if media_reader_is_there() else "pyav")
    assert (decoded.codec, decoded.source_width, decoded.source_height, decoded.source_frames) == (codec, 128, 96, 30)
    assert decoded.duration_s == pytest.approx(3.0, abs=0.02) and decoded.source_fps == pytest.approx(10, abs=0.1)
    assert numbers(decoded) == [0, 5, 10, 15, 20, 25]
    assert timestamps(decoded) == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5], abs=1e-3)
    assert decoded.seen.fps == pytest.approx(2.0)
    other = decode(source, tmp_path / "pyav", OMNI, PYAV_ONLY)
    assert other.reader == "pyav"
    assert (numbers(other), timestamps(other)) == (numbers(decoded), timestamps(decoded))
    assert difference(decoded, other) < 6


def media_reader_is_there() -> bool:
    return sys.platform == "linux" and os.uname().machine == "x86_64"


def difference(one: Decoded, other: Decoded) -> float:
    """Mean absolute difference of the first frames, 0 to 255."""
    first, second = (np.asarray(Image.open(decoded.seen.frames[0].path)).astype(int) for decoded in (one, other))
    return float(np.abs(first - second).mean())


@pytest.mark.parametrize("limits", [Limits(), PYAV_ONLY], ids=["decord", "pyav"])
def test_timestamps_of_a_variable_frame_rate_and_a_late_start_are_true(tmp_path: Path, limits: Limits) -> None:
    pts = [5_000 + time for time in (0, 40, 80, 500, 1_500, 1_540, 1_600, 3_000, 3_100, 5_000)]
    for name, encoder, options in (("a.mp4", "libx264", {}), ("a.webm", "libvpx-vp9", FAST_VP9), ("b.mkv", "libx264", {})):
        source = make_video(tmp_path / name, codec=encoder, frames=10, pts=pts, options=options)
        decoded = decode(source, tmp_path / f"{name}.out", OMNI, limits)
        seen = numbers(decoded)
        assert seen == [0, 3, 4, 6, 7, 8, 9]
        assert timestamps(decoded) == pytest.approx([pts[number] / 1_000 for number in seen], abs=1e-3)
        assert decoded.start_s == pytest.approx(5.0)


@pytest.mark.parametrize("angle", [90, 180, -90])
def test_both_readers_turn_a_rotated_video_upright(tmp_path: Path, angle: int) -> None:
    source = make_video(tmp_path / "a.mp4", rotation=angle, frames=5, size=(192, 96))
    one, other = decode(source, tmp_path / "one", OMNI), decode(source, tmp_path / "other", OMNI, PYAV_ONLY)
    assert one.rotation == other.rotation == -angle % 360
    assert (one.width, one.height) == (other.width, other.height)
    assert (one.width < one.height) == (angle != 180)
    assert difference(one, other) < 6
    if angle == 180:
        assert near(pixel(other, 0.9, 0.05), RED) and near(pixel(other, 0.1, 0.05), BLUE)


def test_after_a_seek_in_an_open_gop_the_frame_is_still_the_right_one(tmp_path: Path) -> None:
    options = {"g": "20", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
    decoded = decode(make_video(tmp_path / "a.mp4", frames=120, options=options), tmp_path / "out", OMNI)
    assert decoded.reader == "pyav"
    assert numbers(decoded) == list(range(0, 120, 5))


def test_a_codec_that_decord_lacks_goes_to_pyav(tmp_path: Path) -> None:
    decoded = decode(make_video(tmp_path / "a.mp4", codec="libsvtav1", options={"preset": "12"}), tmp_path / "out", OMNI)
    assert (decoded.reader, decoded.codec, len(decoded.seen.frames)) == ("pyav", "av1", 6)


def test_a_long_clip_is_spread_over_its_whole_length(tmp_path: Path) -> None:
    decoded = decode(make_video(tmp_path / "a.mp4", frames=200, fps=10), tmp_path / "out", STARTER)
    assert len(decoded.seen.frames) == STARTER.max_frames
    assert numbers(decoded)[0] == 0 and numbers(decoded)[-1] == 199
    assert decoded.seen.fps == pytest.approx(15 / 19.9, abs=1e-3)
    assert decoded.width * decoded.height <= STARTER.max_pixels_per_frame


def test_a_clip_too_long_for_a_full_pass_shows_its_nearest_keyframes(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", frames=200, options={"g": "8", "x264-params": "scenecut=0"})
    decoded = decode(source, tmp_path / "out", OMNI, Limits(sequential_pixels=0))
    assert decoded.keyframes_only and decoded.reader == "pyav"
    assert timestamps(decoded) == pytest.approx([number / 10 for number in numbers(decoded)])
    assert all(number % 8 == 0 for number in numbers(decoded)) and len(decoded.seen.frames) == 25


def test_a_long_clip_with_one_keyframe_is_not_judged_by_that_frame_alone(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", frames=200, options={"g": "500", "x264-params": "scenecut=0"})
    decoded = decode(source, tmp_path / "out", OMNI, Limits(sequential_pixels=0))
    assert not decoded.keyframes_only and len(decoded.seen.frames) == 40


def test_a_one_frame_video_is_seen(tmp_path: Path) -> None:
    for limits in (Limits(), PYAV_ONLY):
        decoded = decode(make_video(tmp_path / "a.mp4", frames=1), tmp_path / f"out{limits.decord_pixels}", OMNI, limits)
        assert timestamps(decoded) == [0.0] and decoded.seen.fps == OMNI.fps


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_the_same_source_and_preset_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_video(tmp_path / "a.mp4", size=(256, 192))
    decoded = decode(source, tmp_path / "out", STARTER)
    assert load_seen(tmp_path / "out") == decoded
    manifest = json.loads((tmp_path / "out" / "frames.json").read_text())
    assert manifest["preset"]["name"] == "starter" and len(manifest["sha256"]) == 64 and manifest["reader"] == decoded.reader
    with monkeypatch.context() as patch:
        patch.setattr(Sandbox, "run", lambda *_: pytest.fail("decoded twice"))
        assert decode(source, tmp_path / "out", STARTER) == decoded
    assert decode(source, tmp_path / "out", OMNI).width != decoded.width


def test_half_a_folder_is_decoded_again(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    decoded = decode(source, tmp_path / "out", STARTER)
    decoded.seen.frames[1].path.unlink()
    with pytest.raises(MediaError) as caught:
        load_seen(tmp_path / "out")
    assert caught.value.code == "media_not_stored"
    assert decode(source, tmp_path / "out", STARTER) == decoded
    assert load_seen(tmp_path / "out") == decoded


def test_a_manifest_cannot_name_a_file_outside_its_folder(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.png")
    decode(tmp_path / "a.png", tmp_path / "out", STARTER)
    manifest = json.loads((tmp_path / "out" / "frames.json").read_text())
    manifest["frames"][0]["file"] = "../a.png"
    (tmp_path / "out" / "frames.json").write_text(json.dumps(manifest))
    with pytest.raises(MediaError, match="frames are missing"):
        load_seen(tmp_path / "out")


def test_a_place_that_cannot_be_written_is_the_operators_problem(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.png")
    with pytest.raises(MediaError) as caught:
        decode(tmp_path / "a.png", tmp_path / "a.png" / "out", STARTER)
    assert caught.value.code == "media_storage_failed"


# -- hostile and broken files ------------------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def picture_bytes(kind: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    stream = io.BytesIO()
    noise.save(stream, kind)
    return stream.getvalue()


def gif_bomb() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + b"\0" * 6 + b"\x2c" + b"\0" * 9 + b"\x02\x01\x00\x00\x3b"


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
    ("mp4 head then junk", lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + os.urandom(9_000), {"media_corrupt", "media_truncated"}),
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
    ]
    for source, limits, code in refused:
        assert refusal(source, tmp_path / "out", limits=limits).code == code


def test_a_file_that_needs_too_much_memory_costs_the_child_only(tmp_path: Path) -> None:
    Image.new("RGB", (7_900, 7_900)).save(tmp_path / "a.png", compress_level=1)
    assert refusal(tmp_path / "a.png", tmp_path / "out", limits=Limits(memory_bytes=150 << 20)).code == "media_out_of_memory"
    video = make_video(tmp_path / "a.mp4", size=(1920, 1088), frames=4)
    for mebibytes in (60, 110, 130, 160):
        assert refusal(video, tmp_path / "out", limits=Limits(memory_bytes=mebibytes << 20)).code == "media_out_of_memory"


def test_a_slow_file_is_stopped_by_the_clock_or_by_its_processor_time(tmp_path: Path) -> None:
    source = make_slow_video(tmp_path / "a.mp4")
    started = time.monotonic()
    assert refusal(source, tmp_path / "out", limits=Limits(wall_s=0.5)).code == "media_decode_timeout"
    assert time.monotonic() - started < 3
    busy = tmp_path / "busy.py"
    busy.write_text(stand_in("while True: pass"))
    with pytest.raises(MediaError) as caught, stand_in_sandbox(busy, Limits(cpu_s=1, wall_s=20)) as sandbox:
        sandbox.run({})
    assert caught.value.code == "media_decode_timeout" and "processor" in str(caught.value)


# -- the child ---------------------------------------------------------------------------------------------------------


def stand_in(body: str) -> str:
    """A child that sets the real limits and then does something else with its job; `job` is the line it was given."""
    return textwrap.dedent(f"""
        import ctypes, json, os, sys, time
        from guardapp.guard import media_child as child
        from guardapp.guard.media_values import Limits
        answers = child.take_stdout()
        limits = Limits(**json.loads(sys.stdin.readline())["limits"])
        child.restrict(limits, 1)
        for job in sys.stdin:
            child.allow_cpu(limits.cpu_s)
            {body}
    """)


def stand_in_sandbox(program: Path, limits: Limits) -> Sandbox:
    """A sandbox that runs the program at this path."""
    return Sandbox(limits, command=("-P", "-s", str(program)))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("ctypes.string_at(0)", "media_decoder_crashed"),
        ("os.kill(os.getpid(), 6)", "media_decoder_crashed"),
        ("os.kill(os.getpid(), 9)", "media_out_of_memory"),
        ("sys.exit(3)", "media_decoder_crashed"),
        ("raise ZeroDivisionError", "media_decoder_crashed"),
        ("bytearray(10 << 30)", "media_out_of_memory"),
        ("answers.write('nonsense\\n'); answers.flush()", "media_decoder_crashed"),
        ("answers.write('[]\\n'); answers.flush()", "media_decoder_crashed"),
        ("[answers.write('x' * 4096) for _ in range(1000)]", "media_decoder_crashed"),
        ("answers.write('half'); answers.flush(); time.sleep(60)", "media_decode_timeout"),
        ("os.close(1); os.close(2); time.sleep(60)", "media_decode_timeout"),
        ("open('/tmp/x', 'rb'); [open('/dev/null') for _ in range(200)]", "media_decoder_crashed"),
    ],
)
def test_whatever_the_child_does_the_caller_gets_a_named_error(tmp_path: Path, body: str, code: str) -> None:
    program = tmp_path / "child.py"
    program.write_text(stand_in(body))
    started = time.monotonic()
    with stand_in_sandbox(program, Limits(wall_s=1.0)) as sandbox, pytest.raises(MediaError) as caught:
        sandbox.run({"source": "x"})
    assert caught.value.code == code
    assert time.monotonic() - started < 5


def test_the_child_sees_no_secrets_and_writes_no_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush")
    program = tmp_path / "child.py"
    facts = "{'env': sorted(os.environ), 'core': resource.getrlimit(4), 'nice': os.nice(0), 'sid': os.getsid(0) == os.getpid()}"
    program.write_text(stand_in(f"import resource; answers.write(json.dumps({{'ok': {facts}}}) + '\\n'); answers.flush()"))
    with stand_in_sandbox(program, Limits()) as sandbox:
        seen = sandbox.run({})
    assert "SECRET_KEY" not in seen["env"] and "PATH" in seen["env"]
    assert seen["core"] == [0, 0] and seen["nice"] >= 10 and seen["sid"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_child_dies_with_its_parent() -> None:
    program = (
        "import sys, time; from guardapp.guard.media_process import Sandbox; from guardapp.guard.media_values import Limits;"
        "print(Sandbox(Limits())._start().pid, flush=True); time.sleep(60)"
    )
    environment = {"PYTHONPATH": str(Path(media_process.__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def alive(pid: int) -> bool:
    """A process that is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_in_a_batch_a_bad_file_costs_only_itself(tmp_path: Path) -> None:
    quarters().save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(png_header(100_000, 100_000))
    slow = make_slow_video(tmp_path / "slow.mp4")
    names = ["good.png", "bad.png", "missing.png", slow.name, "good.png"]
    jobs = [Job(tmp_path / name, tmp_path / "out" / str(number)) for number, name in enumerate(names)]
    outcomes = decode_many(jobs, STARTER, replace(Limits(), wall_s=1.5))
    codes = [outcome.code if isinstance(outcome, MediaError) else "ok" for outcome in outcomes]
    assert codes == ["ok", "media_too_large", "media_not_a_file", "media_decode_timeout", "ok"]


def test_every_error_has_its_own_code_and_says_what_to_do() -> None:
    assert len(ERROR_BY_CODE) == len(MediaError.__subclasses__())
    for code, kind in ERROR_BY_CODE.items():
        assert code.startswith("media_")
        assert str(kind("some detail")).endswith(". (some detail)") and len(str(kind())) > 40


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference media are not on this machine")
def test_all_reference_media_are_seen(tmp_path: Path) -> None:
    sources = sorted(path for path in REFERENCE.rglob("*") if path.suffix in {".png", ".jpg", ".mp4"})
    outcomes = decode_many([Job(path, tmp_path / str(number)) for number, path in enumerate(sources)], STARTER)
    refused = [f"{path.name}: {outcome}" for path, outcome in zip(sources, outcomes, strict=True) if isinstance(outcome, MediaError)]
    assert sources and not refused
