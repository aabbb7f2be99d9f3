"""Video becomes the right frames with their true times, whichever reader gave them."""

from multiprocessing import get_context
from pathlib import Path

import pytest

from guardapp.guard.media.decode import Limits, decode
from tests.guard.media.checks import (
    FAST_VP9,
    OMNI,
    PYAV_ONLY,
    STARTER,
    difference,
    media_reader_is_there,
    near,
    numbers,
    pixel,
    timestamps,
)
from tests.guard.media.samples import BLUE, RED, make_video

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


@pytest.mark.parametrize("limits", [Limits(), PYAV_ONLY], ids=["decord", "pyav"])
def test_timestamps_of_a_variable_frame_rate_and_a_late_start_are_true(tmp_path: Path, limits: Limits) -> None:
    pts = [5_000 + time for time in (0, 40, 80, 500, 1_500, 1_540, 1_600, 3_000, 3_100, 5_000)]
    for name, encoder, options in (
        ("a.mp4", "libx264", {}),
        ("a.webm", "libvpx-vp9", FAST_VP9),
        ("b.mkv", "libx264", {}),
    ):
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
    source = tmp_path / "a.mp4"
    # run by root, SVT-AV1 gives its whole process real-time priority: not to this one, and its jobs
    maker = get_context("spawn").Process(
        target=make_video, args=(source,), kwargs={"codec": "libsvtav1", "options": {"preset": "12"}}
    )
    maker.start()
    maker.join()
    decoded = decode(source, tmp_path / "out", OMNI)
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
        decoded = decode(
            make_video(tmp_path / "a.mp4", frames=1), tmp_path / f"out{limits.decord_pixels}", OMNI, limits
        )
        assert timestamps(decoded) == [0.0] and decoded.seen.fps == OMNI.fps
