"""Animations that people start, and clips that the browser cannot play, on the review page and on the item's page."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from annotation.models import Item, MediaAsset, Prediction
from tests.annotation.predictions.test_predict import pending, predict
from tests.annotation.predictions.test_predict_media import attach
from tests.annotation.scripted_engine import ScriptedEngine
from tests.browser.test_review_by_keyboard import open_queue, sign_in
from tests.factories import make_user, production
from tests.guard.media.animations_made import PALETTE, Piece, apng, coloured, gif, webp
from tests.guard.media.heif_made import heic
from tests.guard.media.samples import make_video, quarters

pytestmark = pytest.mark.django_db(transaction=True)
SENTENCE = "Your browser cannot play this clip; these are its frames."
QUIET = {"x265-params": "log-level=none:pools=1"}
MAKERS: dict[str, Callable[[tuple[int, int], list[Piece]], bytes]] = {"gif": gif, "webp": webp, "png": apng}


def predicted(content: bytes | Path, settings: Settings) -> Item:
    settings.ROLLOUTS, settings.AUDIT_SHARE = 0, 0.0
    [item] = pending(1, modality="video")
    attach(item, content)
    predict(ScriptedEngine(), production())
    item.refresh_from_db()
    return item


def open_whole(page: Page) -> None:
    sign_in(page, make_user())
    open_queue(page)
    page.get_by_role("tab", name="not seen by the guard").click()


@pytest.mark.parametrize("name", MAKERS)
def test_an_animation_stands_still_until_it_is_started_and_again_when_it_is_left(
    page: Page, settings: Settings, name: str
) -> None:
    pieces = [Piece(coloured((96, 64), colour), delay_ms=500) for colour in PALETTE[:4]]
    predicted(MAKERS[name]((96, 64), pieces), settings)
    open_whole(page)
    image, play = page.locator("[data-animation]"), page.get_by_role("button", name="Play the animation")
    original = f"/media/{MediaAsset.objects.get().sha256}/"
    still = image.get_attribute("src") or ""
    assert "/frames/" in still
    play.click()
    expect(play).to_have_attribute("aria-pressed", "true")
    expect(image).to_have_attribute("src", original)
    page.wait_for_function("document.querySelector('[data-animation]').naturalWidth === 96")
    page.keyboard.press("Alt+Space")
    expect(play).to_have_attribute("aria-pressed", "false")
    expect(image).to_have_attribute("src", still)
    page.keyboard.press("Alt+Space")
    expect(image).to_have_attribute("src", original)
    page.get_by_role("tab", name="What the guard saw").click()
    expect(image).to_have_attribute("src", still)
    expect(page.locator("[data-frame]")).to_have_count(4)


def test_a_clip_that_this_browser_plays_has_its_player(page: Page, settings: Settings, tmp_path: Path) -> None:
    predicted(make_video(tmp_path / "a.mp4", frames=20), settings)
    open_whole(page)
    expect(page.locator("[data-player]")).to_be_visible()
    expect(page.get_by_text(SENTENCE)).to_be_hidden()
    page.keyboard.press("Alt+Space")
    page.wait_for_function("document.querySelector('video').currentTime > 0")


@pytest.mark.parametrize("known", [True, False], ids=["codec known", "codec not known"])
@pytest.mark.parametrize(
    ("name", "codec", "options"), [("a.mp4", "libx265", QUIET), ("b.mp4", "mpeg4", {}), ("c.ts", "mpeg2video", {})]
)
def test_a_clip_that_this_browser_does_not_play_is_shown_as_its_frames(
    page: Page, settings: Settings, tmp_path: Path, name: str, codec: str, options: dict[str, str], known: bool
) -> None:
    predicted(make_video(tmp_path / name, codec=codec, options=options, frames=20), settings)
    if not known:  # predicted by an older version of this program
        prediction = Prediction.objects.get()
        prediction.media_seen[0].pop("codec")
        prediction.save(update_fields=["media_seen"])
    open_whole(page)
    expect(page.get_by_text(SENTENCE)).to_be_visible()
    expect(page.locator("[data-player]:visible")).to_have_count(0)
    expect(page.locator(".contact-sheet img:visible")).to_have_count(4)


def test_a_picture_that_browsers_cannot_show_is_shown_as_a_copy(page: Page, settings: Settings) -> None:
    predicted(heic(quarters(320, 160), turn=1), settings)
    open_whole(page)
    image = page.get_by_role("img", name="The whole image")
    expect(image).to_be_visible()
    page.wait_for_function("[...document.images].some((one) => one.naturalWidth === 160 && one.naturalHeight === 320)")
    expect(page.get_by_role("link", name="Download the original")).to_be_visible()


def test_whatever_shows_it_is_blurred_where_media_is_blurred(page: Page, settings: Settings, tmp_path: Path) -> None:
    item = predicted(make_video(tmp_path / "a.ts", codec="mpeg2video", frames=20), settings)
    type(item.queue).objects.filter(pk=item.queue_id).update(blur_default=True)
    open_whole(page)
    page.mouse.move(1, 1)
    blurred = "(one) => getComputedStyle(one).filter.includes('blur')"
    page.wait_for_function(f"[...document.querySelectorAll('.contact-sheet img')].every({blurred})")
