"""Animated pictures: the guard is given their frames with their times, and people may play them."""

import base64
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import Item, MediaAsset
from guardapp.guard.media.decode import PRESETS, Decoded, Limits, decode
from guardapp.guard.media.sniff import sniff
from guardapp.guard.taxonomy import MediaKind, Modality
from guardapp.guard.verdict import MediaPreset, Sample
from tests.annotation.predictions.test_predict import pending, predict
from tests.annotation.predictions.test_predict_media import attach
from tests.annotation.scripted_engine import HARMFUL, ScriptedEngine
from tests.factories import make_user, production
from tests.guard.media.animations_made import (
    CLEAR,
    PALETTE,
    RESTORE,
    Piece,
    apng,
    coloured,
    gif,
    random_pieces,
    webp,
)
from tests.guard.media.checks import STARTER, refusal, timestamps
from tests.paths import ROOT

RED, GREEN, BLUE = PALETTE[:3]
MAKERS: dict[str, Callable[[tuple[int, int], list[Piece]], bytes]] = {"gif": gif, "webp": webp, "png": apng}
# every frame, in its own size
WHOLE = MediaPreset(
    "whole", fps=100, max_frames=10_000, max_pixels_per_frame=10**9, min_pixels_per_frame=1, size_multiple=1
)


def made(name: str, pieces: list[Piece], canvas: tuple[int, int] = (24, 16)) -> bytes:
    return MAKERS[name](canvas, pieces)


def seen(tmp_path: Path, content: bytes, preset: MediaPreset = WHOLE, limits: Limits | None = None) -> Decoded:
    source = tmp_path / "upload"
    source.write_bytes(content)
    return decode(source, tmp_path / "out", preset, limits or Limits())


def pixels(decoded: Decoded) -> list[npt.NDArray[np.int64]]:
    return [np.asarray(Image.open(frame.path)).astype(int) for frame in decoded.seen.frames]


def composed(canvas: tuple[int, int], pieces: list[Piece]) -> list[npt.NDArray[np.int64]]:
    """What the specifications say: each piece over the canvas or in its place, and what becomes of it, on white."""
    shown = []
    page = Image.new("RGBA", canvas, (0, 0, 0, 0))
    for piece in pieces:
        before = page.copy()
        if piece.over:
            page.alpha_composite(piece.picture, piece.at)
        else:
            page.paste(piece.picture, piece.at)
        white = Image.new("RGBA", canvas, "white")
        white.alpha_composite(page)
        shown.append(np.asarray(white.convert("RGB")).astype(int))
        if piece.disposal == CLEAR:
            page.paste((0, 0, 0, 0), (*piece.at, piece.at[0] + piece.picture.width, piece.at[1] + piece.picture.height))
        elif piece.disposal == RESTORE:
            page = before
    return shown


@pytest.mark.parametrize("name", MAKERS)
def test_each_frame_is_laid_over_the_ones_before_as_its_format_says(tmp_path: Path, name: str) -> None:
    for seed in range(12):
        pieces = random_pieces(random.Random(seed), name, (24, 16))
        decoded = seen(tmp_path, made(name, pieces))
        expected = composed((24, 16), pieces)
        assert len(decoded.seen.frames) == len(expected) == decoded.source_frames
        for number, (frame, wanted) in enumerate(zip(pixels(decoded), expected, strict=True)):
            assert np.abs(frame - wanted).max() <= 2, (seed, number)


@pytest.mark.parametrize("name", MAKERS)
def test_frames_carry_their_own_times_and_no_delay_is_a_tenth_of_a_second(tmp_path: Path, name: str) -> None:
    delays = [500, 0, 10, 20, 1_270, 100]
    pieces = [Piece(coloured((24, 16), PALETTE[number]), delay_ms=delay) for number, delay in enumerate(delays)]
    decoded = seen(tmp_path, made(name, pieces))
    assert timestamps(decoded) == pytest.approx([0, 0.5, 0.6, 0.7, 0.72, 1.99])
    assert decoded.duration_s == pytest.approx(2.09) and decoded.source_frames == 6
    assert decoded.seen.kind is MediaKind.VIDEO and decoded.mime == f"image/{name}"


@pytest.mark.parametrize("name", MAKERS)
def test_a_long_animation_is_sampled_like_a_long_clip(tmp_path: Path, name: str) -> None:
    pieces = [Piece(coloured((24, 16), PALETTE[number % 7]), delay_ms=100) for number in range(100)]
    decoded = seen(tmp_path, made(name, pieces), STARTER)
    assert (len(decoded.seen.frames), decoded.source_frames) == (STARTER.max_frames, 100)
    assert timestamps(decoded)[0] == 0 and timestamps(decoded)[-1] == pytest.approx(9.9)


@pytest.mark.parametrize("name", MAKERS)
def test_no_frame_of_a_short_animation_is_too_short_to_be_seen(tmp_path: Path, name: str) -> None:
    delays = [4_800, 50, 200, 20, 20]
    pieces = [Piece(coloured((24, 16), PALETTE[number]), delay_ms=delay) for number, delay in enumerate(delays)]
    for preset in PRESETS.values():
        assert len(seen(tmp_path, made(name, pieces), preset).seen.frames) == 5
        assert len(seen(tmp_path, made(name, pieces[3:] * 8), preset).seen.frames) == 16


def test_how_often_it_repeats_does_not_count(tmp_path: Path) -> None:
    pieces = [Piece(coloured((24, 16), RED)), Piece(coloured((24, 16), BLUE))]
    for loops in (None, 0, 1, 65_535):
        assert seen(tmp_path, gif((24, 16), pieces, loops=loops)).duration_s == pytest.approx(0.2)
    assert seen(tmp_path, apng((24, 16), pieces, loops=10**6)).duration_s == pytest.approx(0.2)


@pytest.mark.parametrize("name", MAKERS)
def test_one_frame_is_a_picture(tmp_path: Path, name: str) -> None:
    decoded = seen(tmp_path, made(name, [Piece(coloured((24, 16), GREEN), delay_ms=500)]), STARTER)
    assert decoded.seen.kind is MediaKind.IMAGE and decoded.seen.fps is None
    assert pixels(decoded)[0][0, 0].tolist() == pytest.approx(GREEN, abs=2)


@pytest.mark.parametrize("frames", [1, 2])
def test_what_a_png_shows_only_where_nothing_moves_is_not_what_the_guard_sees(tmp_path: Path, frames: int) -> None:
    pieces = [Piece(coloured((24, 16), RED), delay_ms=500)] * frames
    decoded = seen(tmp_path, apng((24, 16), pieces, default=coloured((24, 16), GREEN)), STARTER)
    assert len(decoded.seen.frames) == frames
    assert all(frame[0, 0].tolist() == list(RED) for frame in pixels(decoded))


def test_an_animation_whose_end_is_marked_by_nothing_is_taken_whole(tmp_path: Path) -> None:
    pieces = [Piece(coloured((24, 16), RED)), Piece(coloured((8, 8), BLUE), (4, 4))]
    assert seen(tmp_path, gif((24, 16), pieces, end=False)).source_frames == 2


def test_what_is_drawn_outside_of_the_canvas_is_not_shown(tmp_path: Path) -> None:
    decoded = seen(tmp_path, gif((24, 16), [Piece(coloured((24, 16), RED)), Piece(coloured((20, 16), BLUE), (10, 4))]))
    assert (decoded.width, decoded.height) == (24, 16)
    assert [pixels(decoded)[1][place].tolist() for place in ((0, 0), (15, 23))] == [list(RED), list(BLUE)]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_animation_that_breaks_off_is_refused_and_says_so(tmp_path: Path, name: str, share: float) -> None:
    noise = [Image.effect_noise((48, 48), 90).point(lambda value: 255 * (value > 127)) for _ in range(8)]
    whole = made(name, [Piece(one.convert("RGBA"), delay_ms=500) for one in noise], (48, 48))
    source = tmp_path / "upload"
    source.write_bytes(whole[: int(len(whole) * share)])
    assert refusal(source, tmp_path / "out").code in ("media_truncated", "media_corrupt")


def test_bombs_of_frames_and_of_pixels_are_refused_in_seconds(tmp_path: Path) -> None:
    dot = Piece(coloured((2, 2), RED), delay_ms=20)
    bombs = {
        "thousands of frames on a huge canvas": (gif((5_000, 5_000), [dot] * 3_000), "media_too_long"),
        "the same as WebP": (webp((5_000, 5_000), [dot] * 3_000), "media_too_long"),
        "a canvas without end": (gif((65_000, 65_000), [dot] * 2), "media_too_large"),
        "a canvas without end as WebP": (webp((16_000, 16_000), [dot] * 2), "media_too_large"),
        "blocks without end": (gif((2, 2), [dot], end=False)[:-1] + b"\x01\x00" * 4_000_000, "media_corrupt"),
    }
    for what, (content, code) in bombs.items():
        source = tmp_path / "bomb"
        source.write_bytes(content)
        began = time.monotonic()
        assert refusal(source, tmp_path / "out").code == code, what
        assert time.monotonic() - began < 15, what


def test_thousands_of_small_frames_are_sampled(tmp_path: Path) -> None:
    pieces = [Piece(coloured((24, 16), PALETTE[number % 7]), delay_ms=20) for number in range(5_000)]
    began = time.monotonic()
    decoded = seen(tmp_path, gif((24, 16), pieces), STARTER)
    assert (decoded.source_frames, len(decoded.seen.frames)) == (5_000, 16)
    assert time.monotonic() - began < 30


def test_a_frame_that_would_take_the_web_process_too_long_to_find_makes_it_an_animation() -> None:
    began = time.monotonic()
    endless = gif((2, 2), [Piece(coloured((2, 2), RED))], end=False)[:-1] + b"\x01\x00" * 10_000_000
    assert sniff(endless) == (MediaKind.VIDEO, "image/gif")
    assert time.monotonic() - began < 5


def test_the_given_files_are_seen_with_every_frame(tmp_path: Path) -> None:
    folder = ROOT.parent / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the shared inputs are not beside the checkout")
    for name in ("anim.gif", "anim.webp"):
        decoded = seen(tmp_path, (folder / name).read_bytes(), STARTER)
        assert (decoded.seen.kind, len(decoded.seen.frames)) == (MediaKind.VIDEO, 2)
        first, second = pixels(decoded)
        assert np.abs(first - second).max() > 100


# From the sender to the guard and to people


def data_url(name: str, content: bytes) -> str:
    return f"data:image/{name};base64,{base64.b64encode(content).decode()}"


@pytest.fixture
def two_frames() -> bytes:
    return gif(
        (64, 48), [Piece(coloured((64, 48), RED), delay_ms=500), Piece(coloured((64, 48), GREEN), delay_ms=1_000)]
    )


@pytest.mark.django_db
@pytest.mark.urls("annotation.api_urls")
@pytest.mark.parametrize("said", [None, "video", "image"])
def test_a_sender_may_call_an_animated_picture_an_image_or_a_video(
    sender: APIClient, two_frames: bytes, said: str | None
) -> None:
    row = {"external_id": "a", "source": "test", "media": [data_url("gif", two_frames)]}
    answer = sender.post("/api/v1/items", row | ({"modality": said} if said else {}), format="json")
    assert answer.status_code in (201, 202), answer.content
    assert Item.objects.get().modality == Modality.VIDEO
    assert (MediaAsset.objects.get().kind, MediaAsset.objects.get().mime) == (MediaKind.VIDEO, "image/gif")


@pytest.mark.django_db
def test_people_find_the_animation_paused_beside_the_frames_that_the_guard_saw(
    client: Client, two_frames: bytes, settings: Settings
) -> None:
    settings.ROLLOUTS = 0
    asked: list[Sample] = []

    def says(sample: Sample, draw: int) -> str:
        asked.append(sample)
        return HARMFUL

    item = item_with(two_frames)
    predict(ScriptedEngine(says), production())
    [medium] = asked[0].media
    assert (medium.kind, len(medium.frames), medium.fps) == (MediaKind.VIDEO, 2, 2.0)
    client.force_login(make_user())
    page = client.get(reverse("item", args=[item.pk])).content.decode()
    original = reverse("asset", args=[MediaAsset.objects.get().sha256])
    assert f'data-animation="{original}"' in page and f'src="{original}"' not in page
    assert page.count('data-frame="') == 2 and "<video" not in page


def item_with(content: bytes) -> Item:
    [item] = pending(1, modality="video")
    attach(item, content)
    return item


@pytest.mark.django_db
def test_a_file_stored_by_an_older_version_as_a_picture_is_known_as_an_animation_when_it_is_sent_again(
    two_frames: bytes,
) -> None:
    item_with(two_frames)
    MediaAsset.objects.update(kind="image")
    item_with(two_frames)
    assert MediaAsset.objects.get().kind == MediaKind.VIDEO
