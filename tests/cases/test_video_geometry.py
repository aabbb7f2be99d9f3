"""Videos: mirrored, turned and with pixels that are no squares, and containers that browsers do not play."""

import struct
from fractions import Fraction
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from annotation.models import Item, MediaAsset
from guardapp.guard.media.decode import Decoded, decode
from guardapp.guard.media.orientation import UPRIGHT, Orientation, of_matrix
from guardapp.guard.media.sniff import sniff
from guardapp.guard.taxonomy import MediaKind
from tests.annotation.predictions.test_predict import pending, predict
from tests.annotation.predictions.test_predict_media import attach
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import make_user, production
from tests.guard.media.checks import OMNI, PYAV_ONLY, near, numbers, pixel, refusal, timestamps
from tests.guard.media.mp4_made import MATRICES, with_edit, with_matrix, with_pixel_aspect
from tests.guard.media.samples import BLUE, RED, make_video
from tests.paths import ROOT

# of `numbered` pictures: red below on the left, blue below on the right, black above
SHOWN = {
    (0, False): "  RB", (90, False): "R B ", (180, False): "BR  ", (270, False): " B R",
    (0, True): "  BR", (90, True): "B R ", (180, True): "RB  ", (270, True): " R B",
}  # fmt: skip


def corners(decoded: Decoded) -> str:
    places = ((0.1, 0.08), (0.9, 0.08), (0.1, 0.92), (0.9, 0.92))
    shown = [pixel(decoded, x, y) for x, y in places]
    return "".join("R" if near(one, RED) else "B" if near(one, BLUE) else " " for one in shown)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("limits", [None, PYAV_ONLY], ids=["both readers", "pyav"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize(("rotation", "mirrored"), SHOWN)
def test_a_clip_is_shown_as_its_matrix_says(
    tmp_path: Path, name: str, rotation: int, mirrored: bool, limits: object
) -> None:
    plain = make_video(tmp_path / name, frames=5, size=(192, 96)).read_bytes()
    source = written(tmp_path / name, with_matrix(plain, MATRICES[rotation, mirrored]))
    decoded = decode(source, tmp_path / "out", OMNI, *([limits] if limits else []))  # type: ignore[arg-type]
    assert (decoded.rotation, decoded.mirrored) == (rotation, mirrored)
    assert (decoded.width < decoded.height) == (rotation in (90, 270))
    assert corners(decoded) == SHOWN[rotation, mirrored]


def test_a_matrix_that_turns_by_anything_else_is_ignored() -> None:
    for rotation, mirrored in SHOWN:
        a, b, c, d = MATRICES[rotation, mirrored]
        assert of_matrix([a, b, 0, c, d, 0, 0, 0, 1]) == Orientation(rotation, mirrored)
    assert of_matrix([0] * 9) == UPRIGHT
    assert of_matrix([46_341, 46_341, 0, -46_341, 46_341, 0, 0, 0, 1]) == UPRIGHT


def test_the_given_clip_is_mirrored(tmp_path: Path) -> None:
    source = ROOT.parent / "shared" / "cases" / "hflip.mp4"
    if not source.exists():
        pytest.skip("the shared inputs are not beside the checkout")
    decoded = decode(source, tmp_path / "out", OMNI)
    assert decoded.mirrored and near(pixel(decoded, 0.9, 0.1), (254, 0, 0))


@pytest.mark.parametrize(
    ("aspect", "turned", "shape"),
    [
        (Fraction(2), 0, (320, 96)), (Fraction(1, 2), 0, (160, 192)), (Fraction(4, 3), 0, (213, 96)),
        (Fraction(2), 90, (96, 320)), (Fraction(1), 0, (160, 96)), (Fraction(64, 45), 180, (228, 96)),
    ],
)  # fmt: skip
def test_pixels_that_are_no_squares_are_widened_or_heightened(
    tmp_path: Path, aspect: Fraction, turned: int, shape: tuple[int, int]
) -> None:
    plain = make_video(tmp_path / "a.mp4", frames=5, size=(160, 96)).read_bytes()
    turned_video = with_matrix(plain, MATRICES[turned, False])
    source = written(tmp_path / "a.mp4", with_pixel_aspect(turned_video, aspect))
    for limits in ([], [PYAV_ONLY]):
        decoded = decode(source, tmp_path / f"out{len(limits)}", OMNI, *limits)
        assert decoded.width / decoded.height == pytest.approx(shape[0] / shape[1], rel=0.12)
        assert decoded.pixel_aspect == pytest.approx(float(aspect), abs=1e-5)
        assert corners(decoded) == SHOWN[turned, False]


CONTAINERS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "avi of MPEG-4": ("a.avi", "mpeg4", {}, "video/x-msvideo"),
    "avi of H.264": ("a.avi", "libx264", {}, "video/x-msvideo"),
    "transport stream": ("a.ts", "libx264", {}, "video/mp2t"),
    "transport stream of MPEG-2": ("a.ts", "mpeg2video", {}, "video/mp2t"),
    "transport stream of a camera": ("a.m2ts", "libx264", {}, "video/mp2t"),
    "program stream": ("a.mpg", "mpeg2video", {}, "video/mpeg"),
    "3gp": ("a.3gp", "libx264", {}, "video/mp4"),
    "mov": ("a.mov", "libx264", {}, "video/quicktime"),
    "mkv": ("a.mkv", "libx264", {}, "video/x-matroska"),
}


@pytest.mark.parametrize("what", CONTAINERS)
def test_each_container_gives_every_frame_its_time(tmp_path: Path, what: str) -> None:
    name, codec, options, mime = CONTAINERS[what]
    container = {"mpegts_m2ts_mode": "1"} if name.endswith("m2ts") else {}
    form = tmp_path / (name if not container else "a.ts")
    source = make_video(form, codec=codec, frames=30, options=options, container_options=container)
    assert sniff(source) == (MediaKind.VIDEO, mime)
    decoded = decode(source, tmp_path / "out", OMNI)
    assert (decoded.mime, decoded.source_frames) == (mime, 30)
    assert numbers(decoded) == [0, 5, 10, 15, 20, 25]
    assert timestamps(decoded) == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5], abs=0.02)


@pytest.mark.parametrize("what", ["avi of H.264", "transport stream", "program stream"])
def test_a_clip_of_these_containers_that_breaks_off_gives_whole_frames_or_an_error(tmp_path: Path, what: str) -> None:
    name, codec, options, _ = CONTAINERS[what]
    source = make_video(tmp_path / name, codec=codec, frames=60, options=options, size=(256, 192))
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    if name == "a.avi":
        assert refusal(source, tmp_path / "out").code == "media_truncated"
        return
    # a stream has no end of its own: what is there is seen
    decoded = decode(source, tmp_path / "out", OMNI)
    assert numbers(decoded) == list(range(0, 60, 5))[: len(decoded.seen.frames)] and len(decoded.seen.frames) > 3


def test_a_recording_that_begins_in_the_middle_and_lacks_packets_is_seen(tmp_path: Path) -> None:
    options = {"g": "10", "bf": "0", "x264-params": "scenecut=0"}
    source = make_video(tmp_path / "a.ts", frames=100, options=options, size=(256, 192))
    packets = [source.read_bytes()[at : at + 188] for at in range(0, source.stat().st_size, 188)]
    kept = packets[:3] + [packet for number, packet in enumerate(packets[3:]) if number > 20 and number % 97]
    source.write_bytes(b"".join(kept))
    decoded = decode(source, tmp_path / "out", OMNI)
    assert timestamps(decoded)[0] == 0 and 10 < len(decoded.seen.frames) <= 20


def test_two_recordings_joined_into_one_are_both_seen(tmp_path: Path) -> None:
    first = make_video(tmp_path / "a.ts", frames=20).read_bytes()
    source = written(tmp_path / "b.ts", first + make_video(tmp_path / "a.ts", frames=30).read_bytes())
    decoded = decode(source, tmp_path / "out", OMNI)
    # the frame before the joint may be lost
    assert decoded.source_frames in (49, 50) and decoded.duration_s == pytest.approx(5, abs=0.2)
    shown = numbers(decoded)
    assert shown[:4] == [0, 5, 10, 15] and len(shown) == 10
    assert [one - 5 * place for place, one in enumerate(shown[4:])] in ([[0] * 6, [1] * 6])


@pytest.mark.parametrize("head", [b"RIFF\xff\xff\xff\xffAVI LIST", b"\x00\x00\x01\xba" + bytes(60), b"G" * 4_000])
def test_junk_behind_the_first_bytes_is_refused(tmp_path: Path, head: bytes) -> None:
    source = written(tmp_path / "a", head + struct.pack("<2000I", *(7_919 * n % 2**32 for n in range(2_000))))
    assert refusal(source, tmp_path / "out").code in (
        "media_corrupt",
        "media_no_video_stream",
        "media_type_not_supported",
        "media_truncated",
        "media_codec_not_supported",
    )


def test_an_edit_list_that_cuts_the_beginning_moves_every_time(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "a.mp4", frames=30, options={"g": "30", "bf": "2"}).read_bytes()
    source = written(tmp_path / "a.mp4", with_edit(plain, start_s=1.0))
    decoded = decode(source, tmp_path / "out", OMNI)
    assert timestamps(decoded)[0] == pytest.approx(0, abs=0.11)
    assert numbers(decoded) == [10 + round(10 * time) for time in timestamps(decoded)]


# What people get


def item_page(client: Client, settings: Settings, source: Path) -> str:
    settings.ROLLOUTS = 0
    [item] = pending(1, modality="video")
    attach(item, source)
    predict(ScriptedEngine(), production())
    client.force_login(make_user())
    return client.get(reverse("item", args=[Item.objects.get().pk])).content.decode()


NO_PLAYER = ["avi of MPEG-4", "transport stream", "program stream"]
SENTENCE = "Your browser cannot play this clip; these are its frames."


@pytest.mark.django_db
@pytest.mark.parametrize("what", NO_PLAYER)
def test_a_clip_that_no_browser_plays_is_shown_as_its_frames(
    client: Client, settings: Settings, tmp_path: Path, what: str
) -> None:
    name, codec, options, _ = CONTAINERS[what]
    page = item_page(client, settings, make_video(tmp_path / name, codec=codec, options=options, frames=20))
    assert SENTENCE in page and "<video" not in page
    answer = client.get(reverse("asset", args=[MediaAsset.objects.get().sha256]))
    assert answer["Content-Disposition"].startswith("attachment")
    b"".join(answer)


@pytest.mark.django_db
def test_a_codec_that_no_browser_plays_has_no_player_in_any_container(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    page = item_page(client, settings, make_video(tmp_path / "a.mp4", codec="mpeg4", frames=20))
    assert SENTENCE in page and "<video" not in page


@pytest.mark.django_db
def test_a_codec_that_some_browsers_play_has_a_player_that_they_must_ask_for(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    quiet = {"x265-params": "log-level=none:pools=1"}
    page = item_page(client, settings, make_video(tmp_path / "a.mp4", codec="libx265", options=quiet, frames=20))
    player = page[page.index("data-player") : page.index("<video")]
    assert "hidden" in player and SENTENCE in page and "hvc1" in page
