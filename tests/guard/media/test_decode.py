"""Pictures become frames, files are known by their bytes, and what was decoded is stored whole."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guardapp.guard.media.decode import PRESETS, Job, MediaError, decode, decode_many, load_seen, sniff
from guardapp.guard.media.sandbox import Sandbox
from guardapp.guard.media.sizes import fit_size, pick_frames
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import MediaPreset
from tests.guard.media.checks import OMNI, STARTER, near, pixel, refusal
from tests.guard.media.samples import BLUE, GREEN, RED, WHITE, make_video, quarters
from tests.paths import REFERENCE_DATA, ROOT

REFERENCE = REFERENCE_DATA / "media"


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.gif", "image/gif"),
        ("a.avif", "image/avif"),
    ],
)
def test_a_picture_is_recognised_by_its_bytes_and_not_by_its_name(tmp_path: Path, name: str, mime: str) -> None:
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
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<svg/>', "SVG"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "a Canon raw picture"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42", "an M4A sound"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a WAV sound"),
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
    program = (
        "import sys, guardapp.guard.media.decode; print([m for m in ('av', 'decord', 'PIL', 'torch', 'numpy') if m "
        "in sys.modules])"
    )
    root = str(ROOT)
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": root}
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize(
    "size", [(1, 1), (640, 480), (480, 640), (1920, 1080), (20, 4_000), (4_000, 20), (31, 29), (12_000, 9_000)]
)
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
    ("size", "fitted"),
    [((640, 480), (644, 476)), ((1000, 1000), (1008, 1008)), ((3000, 2000), (1932, 1288)), ((20, 20), (56, 56))],
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
def test_an_animation_is_sampled_like_a_clip(tmp_path: Path, name: str) -> None:
    first, second = Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), BLUE)
    first.save(tmp_path / name, save_all=True, append_images=[second, first], duration=500)
    decoded = decode(tmp_path / name, tmp_path / "out", STARTER)
    assert (decoded.seen.kind, len(decoded.seen.frames), decoded.source_frames) == (MediaKind.VIDEO, 3, 3)
    assert [frame.timestamp_s for frame in decoded.seen.frames] == [0.0, 0.5, 1.0]
    assert near(pixel(decoded, 0.5, 0.5), RED) and near(pixel(decoded, 0.5, 0.5, 1), BLUE)


def test_a_strip_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (2_010, 10)).save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png", tmp_path / "out").code == "media_too_narrow"


def test_the_same_source_and_preset_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_video(tmp_path / "a.mp4", size=(256, 192))
    decoded = decode(source, tmp_path / "out", STARTER)
    assert load_seen(tmp_path / "out") == decoded
    manifest = json.loads((tmp_path / "out" / "frames.json").read_text())
    assert (
        manifest["preset"]["name"] == "starter"
        and len(manifest["sha256"]) == 64
        and manifest["reader"] == decoded.reader
    )
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


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference media are not on this machine")
def test_all_reference_media_are_seen(tmp_path: Path) -> None:
    sources = sorted(path for path in REFERENCE.rglob("*") if path.suffix in {".png", ".jpg", ".mp4"})
    outcomes = decode_many([Job(path, tmp_path / str(number)) for number, path in enumerate(sources)], STARTER)
    refused = [
        f"{path.name}: {outcome}"
        for path, outcome in zip(sources, outcomes, strict=True)
        if isinstance(outcome, MediaError)
    ]
    assert sources and not refused
