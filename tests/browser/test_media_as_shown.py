"""The guard's frames beside what Chromium shows of the same file, pixel by pixel or by the colours of the corners."""

import base64
import io
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from guardapp.guard.media.decode import Decoded, decode
from guardapp.guard.verdict import MediaPreset
from tests.guard.media.animations_made import Piece, apng, gif, random_pieces, webp
from tests.guard.media.checks import FAST_VP9, OMNI, near, numbers, pixel, timestamps
from tests.guard.media.mp4_made import MATRICES, with_edit, with_matrix, with_pixel_aspect
from tests.guard.media.samples import make_video, quarters

BLANK = "http://localhost/blank"
# every frame, in its own size
WHOLE = MediaPreset(
    "whole", fps=100, max_frames=10_000, max_pixels_per_frame=10**9, min_pixels_per_frame=1, size_multiple=1
)
PLACES = ((0.1, 0.08), (0.9, 0.08), (0.1, 0.92), (0.9, 0.92))
SHOW_PICTURE = """async ([content, mime, places]) => {
  const image = new Image();
  image.src = `data:${mime};base64,${content}`;
  await image.decode();
  document.body.append(image);
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const colour = (x, y) => [...context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data].slice(0, 3);
  const at = ([x, y]) => colour(x * canvas.width, y * canvas.height);
  return { width: canvas.width, height: canvas.height, corners: places.map(at) };
}"""
SHOW_ANIMATION = """async ([content, mime]) => {
  const data = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const decoder = new ImageDecoder({ data, type: mime });
  await decoder.tracks.ready;
  await decoder.completed;
  const shown = [];
  for (let frameIndex = 0; frameIndex < decoder.tracks.selectedTrack.frameCount; frameIndex += 1) {
    const { image } = await decoder.decode({ frameIndex });
    const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0);
    shown.push([...context.getImageData(0, 0, canvas.width, canvas.height).data]);
    image.close();
  }
  return shown;
}"""
SHOW_VIDEO = """async ([content, mime, times]) => {
  document.body.replaceChildren();
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  const data = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([data], { type: mime }));
  document.body.append(video);
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(video.error.message);
  });
  const shown = [];
  for (const time of times) {
    const seeked = new Promise((resolve) => { video.onseeked = resolve; });
    // the frame may come to the screen after the end of the seek; the same one as before comes not again
    const painted = new Promise((resolve) => { video.requestVideoFrameCallback(resolve); setTimeout(resolve, 500); });
    video.currentTime = time;
    await Promise.all([seeked, painted]);
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const bar = canvas.width / 8;
    const red = (x, y) => context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data[0];
    const bright = (bit) => red((bit + 0.5) * bar, canvas.height * 0.35) > 127;
    shown.push([...Array(8).keys()].reduce((sum, bit) => sum + (bright(bit) ? 1 << bit : 0), 0));
  }
  return { width: video.videoWidth, height: video.videoHeight, numbers: shown };
}"""


@pytest.fixture
def blank(chromium: Browser) -> Iterator[Page]:
    """A page without a server: what is shown comes with the call."""
    context = chromium.new_context(viewport={"width": 800, "height": 600})
    page = context.new_page()
    page.route(BLANK, lambda route: route.fulfill(body="<!doctype html><style>body { margin: 0 }</style>"))
    page.goto(BLANK)
    yield page
    context.close()


def show(page: Page, script: str, content: bytes, mime: str, *more: object) -> Any:
    return page.evaluate(script, [base64.b64encode(content).decode(), mime, *more])


def seen(tmp_path: Path, content: bytes, preset: MediaPreset = OMNI) -> Decoded:
    (tmp_path / "upload").write_bytes(content)
    return decode(tmp_path / "upload", tmp_path / "out", preset)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_is_seen_as_chromium_turns_it(blank: Page, tmp_path: Path, kind: str) -> None:
    for orientation in range(1, 9):
        exif, buffer = Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        quarters(320, 160).save(buffer, kind, exif=exif)
        shown = show(blank, SHOW_PICTURE, buffer.getvalue(), f"image/{kind.lower()}", PLACES)
        decoded = seen(tmp_path, buffer.getvalue())
        assert decoded.width / decoded.height == pytest.approx(shown["width"] / shown["height"])
        for (x, y), colour in zip(PLACES, shown["corners"], strict=True):
            assert near(pixel(decoded, x, y), tuple(colour)), (kind, orientation)


@pytest.mark.parametrize(("name", "make"), [("gif", gif), ("webp", webp), ("png", apng)])
def test_every_frame_of_an_animation_is_the_one_that_chromium_shows(
    blank: Page, tmp_path: Path, name: str, make: Callable[[tuple[int, int], list[Piece]], bytes]
) -> None:
    for seed in range(100, 112):
        content = make((24, 16), random_pieces(random.Random(seed), name, (24, 16)))
        shown = show(blank, SHOW_ANIMATION, content, f"image/{name}")
        decoded = seen(tmp_path, content, WHOLE)
        assert len(shown) == len(decoded.seen.frames)
        for number, (colours, frame) in enumerate(zip(shown, decoded.seen.frames, strict=True)):
            wanted = np.array(colours).reshape(16, 24, 4)[:, :, :3]
            assert np.abs(wanted - np.asarray(Image.open(frame.path)).astype(int)).max() <= 2, (seed, number)


def h264(path: Path) -> Path:
    return make_video(path, frames=5, size=(192, 96))


def vp9(path: Path) -> Path:
    return make_video(path, frames=5, size=(192, 96), codec="libvpx-vp9", options=FAST_VP9)


def av1(path: Path) -> Path:
    # run by root, SVT-AV1 gives its whole process real-time priority: not to this one, and its jobs
    wanted = {"frames": 5, "size": (192, 96), "codec": "libsvtav1", "options": {"preset": "12"}}
    maker = get_context("spawn").Process(target=make_video, args=(path,), kwargs=wanted)
    maker.start()
    maker.join()
    return path


FORMATS = {
    "H.264 in MP4": ("a.mp4", h264),
    "H.264 in MOV": ("a.mov", h264),
    "VP9": ("a.mp4", vp9),
    "AV1": ("a.mp4", av1),
}


@pytest.mark.parametrize("what", FORMATS)
def test_a_clip_is_seen_as_chromium_turns_and_mirrors_it(blank: Page, tmp_path: Path, what: str) -> None:
    name, make = FORMATS[what]
    plain = make(tmp_path / name).read_bytes()
    for matrix in MATRICES.values():
        content = with_matrix(plain, matrix)
        shown = show(blank, SHOW_VIDEO, content, "video/mp4", [0.0])
        decoded = seen(tmp_path, content)
        assert decoded.width / decoded.height == pytest.approx(shown["width"] / shown["height"])
        with Image.open(io.BytesIO(blank.locator("video").screenshot())) as screen:
            picture = screen.convert("RGB")
            for x, y in PLACES:
                there: Any = picture.getpixel((int(x * picture.width), int(y * picture.height)))
                assert near(pixel(decoded, x, y), there), (what, matrix, x, y)


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(4, 3), Fraction(64, 45)])
def test_a_clip_has_the_shape_that_chromium_gives_it(blank: Page, tmp_path: Path, aspect: Fraction) -> None:
    plain = make_video(tmp_path / "a.mp4", frames=5, size=(480, 320)).read_bytes()
    for turn in ((0, False), (90, False), (270, True)):
        content = with_pixel_aspect(with_matrix(plain, MATRICES[turn]), aspect)
        shown = show(blank, SHOW_VIDEO, content, "video/mp4", [0.0])
        decoded = seen(tmp_path, content, WHOLE)
        assert decoded.width == pytest.approx(shown["width"], abs=1)
        assert decoded.height == pytest.approx(shown["height"], abs=1)


VARIABLE = [0, 40, 80, 500, 1_500, 1_540, 1_600, 3_000, 3_100, 5_000]
LATE = [2_000 + time for time in VARIABLE]
CLOCKS: dict[str, Callable[[Path], bytes]] = {
    "even": lambda folder: make_video(folder / "a.mp4", frames=30).read_bytes(),
    "variable in MP4": lambda folder: make_video(folder / "a.mp4", frames=10, pts=VARIABLE).read_bytes(),
    "variable in WebM": lambda folder: make_video(
        folder / "a.webm", frames=10, pts=VARIABLE, codec="libvpx-vp9", options=FAST_VP9
    ).read_bytes(),
    "variable in MKV": lambda folder: make_video(folder / "a.mkv", frames=10, pts=VARIABLE).read_bytes(),
    "variable and late": lambda folder: make_video(folder / "a.mp4", frames=10, pts=LATE).read_bytes(),
    "two leading frames for each that follows": lambda folder: make_video(
        folder / "a.mp4", frames=40, options={"bf": "3", "g": "20", "b-adapt": "0"}
    ).read_bytes(),
    "begun by an edit list": lambda folder: with_edit(
        make_video(folder / "a.mp4", frames=40, options={"bf": "2", "g": "40"}).read_bytes(), start_s=1.0
    ),
    "before zero": lambda folder: make_video(
        folder / "a.mp4", frames=30, options={"bf": "2"}, container_options={"use_editlist": "0"}
    ).read_bytes(),
}


def middles(times: list[float], what: str) -> list[float]:
    """The middle of the time that each frame is shown. Chromium holds a frame longer where WebM announces that rate."""
    if "variable" not in what:
        return [time + 0.05 for time in times]
    starts = LATE if "late" in what else VARIABLE
    ends = dict(pairwise([one / 1_000 for one in [*starts, starts[-1] + 40]]))
    return [(time + ends[round(time, 3)]) / 2 for time in times]


@pytest.mark.parametrize("what", CLOCKS)
def test_a_frame_stands_at_its_time_in_chromium(blank: Page, tmp_path: Path, what: str) -> None:
    content = CLOCKS[what](tmp_path)
    decoded = seen(tmp_path, content)
    mime = "video/webm" if "WebM" in what or "MKV" in what else "video/mp4"
    shown = show(blank, SHOW_VIDEO, content, mime, middles(timestamps(decoded), what))
    assert shown["numbers"] == numbers(decoded)
