"""The reviewer's whole way, by keyboard alone, in a real browser."""

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Draft, HardSample, Review, User
from annotation.status import Role
from tests.browser import scene
from tests.browser.waiting import sent
from tests.factories import default_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a long test passphrase"


def sign_in(page: Page, user: User) -> None:
    page.goto("/login/")
    page.keyboard.type(user.username)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()


def open_queue(page: Page) -> None:
    page.goto("/review/default/")
    expect(page.get_by_role("tab", name="Decide")).to_be_visible()


def next_item(page: Page, item_id: str) -> None:
    expect(page.locator(".item-id")).to_have_text(item_id)
    expect(page.get_by_role("tab", name="Decide")).to_be_visible()  # the page's scripts have run


def test_text_image_and_video_are_reviewed_by_keyboard_and_the_hard_sample_is_exported(
    page: Page, tmp_path: Path
) -> None:
    queue = default_queue()
    text = scene.text_item(queue=queue, priority=3.0)
    image = scene.image_item(queue=queue, priority=2.0)
    video = scene.video_item(queue=queue, priority=1.0)
    lead = make_user(role=Role.LEAD)
    sign_in(page, lead)
    page.get_by_role("link", name="Review", exact=True).last.focus()
    page.keyboard.press("Enter")

    next_item(page, text.external_id)
    page.keyboard.press("ArrowDown")  # the first step
    page.keyboard.press("q")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("Sleep aids for pets are sold openly; secrecy alone is no crime.")
    page.keyboard.press("Escape")
    expect(page.locator("[data-step].is-edited ins").first).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_label("unharmful")).to_be_checked()
    expect(page.locator("#saved")).to_have_text("Saved")
    page.keyboard.press("n")

    next_item(page, image.external_id)
    blur = page.locator("[data-medium]")
    expect(blur).to_have_class("medium is-blurred")
    page.keyboard.press("b")
    expect(blur).to_have_class("medium")
    page.keyboard.press("x")
    page.keyboard.press("x")  # flipped twice: the guard's label and category again
    page.keyboard.press("2")  # takes the guard's category away
    page.keyboard.press("3")
    page.keyboard.press("Control+Enter")

    next_item(page, video.external_id)
    page.keyboard.press(".")
    expect(page.locator("[data-frame-caption]")).to_have_text("frame 2 of 8 · 0:00.50")
    page.keyboard.press("a")  # accepting is one key
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    assert [review.item_id for review in Review.objects.order_by("id")] == [text.pk, image.pk, video.pk]

    for item in (video, image, text):  # back to the first one
        page.keyboard.press("Control+z")
        next_item(page, item.external_id)
    expect(page.locator("[data-step] ins").first).to_be_visible()
    expect(page.get_by_label("unharmful")).to_be_checked()
    page.keyboard.press("n")
    next_item(page, image.external_id)
    sent(page)
    assert Review.objects.filter(item=text, retraction__isnull=True).count() == 1
    hard = HardSample.objects.get(gold__item=text, gold__withdrawn_at__isnull=True)
    assert hard.errors == ["prompt", "reasoning"]

    page.goto("/export/")
    page.get_by_label("hard sample").focus()
    page.keyboard.press("Space")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").focus()
        page.keyboard.press("Enter")
    kept = tmp_path / "export.jsonl"
    download.value.save_as(kept)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["id"] if "id" in row else row["item"] for row in rows]
    assert any("secrecy alone is no crime" in line for line in kept.read_text().splitlines())
    assert lead.username not in kept.read_text()


def test_keys_are_letters_while_typing(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.get_by_label("Note").focus()
    page.keyboard.type("an example; xnb ?")
    next_item(page, item.external_id)
    expect(page.get_by_label("Note")).to_have_value("an example; xnb ?")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_a_bare_enter_or_backspace_decides_nothing(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.get_by_label("harmful", exact=True).focus()
    for key in ("Enter", "Backspace"):
        page.keyboard.press(key)
    page.locator("body").press("Enter")
    page.locator("body").press("Backspace")
    next_item(page, item.external_id)
    assert not Review.objects.exists()


def test_escalating_asks_for_a_reason(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.keyboard.press("e")
    expect(page.get_by_label("What should the lead decide?")).to_be_focused()
    page.keyboard.type("Is this irony?")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    item.refresh_from_db()
    assert item.status == "escalated"


def test_work_survives_a_lost_hold(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.get_by_label("Note").fill("Looks like a joke to me.")
    page.keyboard.press("Escape")  # leaves the note: letters are keys again
    page.keyboard.press("x")
    Assignment.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("has run out")
    expect(page.get_by_label("Note")).to_have_value("Looks like a joke to me.")
    page.get_by_role("button", name="Take the item again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_label("Note")).to_have_value("Looks like a joke to me.")
    page.get_by_role("button", name="Submit & next").click()
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    assert Review.objects.get(item=item).note == "Looks like a joke to me."


def test_the_guards_judgement_is_not_on_the_page_before_the_own_verdict(page: Page) -> None:
    scene.text_item(queue=default_queue(mode="decide_first"))
    sign_in(page, make_user())
    open_queue(page)
    assert "Sedating an animal" not in page.content()
    page.keyboard.press("x")
    page.keyboard.press("n")
    expect(page.locator(".step-text").nth(1)).to_contain_text("Sedating an animal")
    expect(page.get_by_text("Your verdict before the reveal: prompt harmful")).to_be_visible()


def test_a_page_without_javascript_still_submits(page: Page) -> None:
    scene.text_item()
    user = make_user()
    sign_in(page, user)
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain_page = plain.new_page()
    plain_page.goto(page.url.rstrip("/") + "/review/default/")
    plain_page.locator(".segmented .unharmful input").first.check(force=True)
    plain_page.get_by_role("button", name="Submit & next").click()
    expect(plain_page.get_by_text("Submitted.")).to_be_visible()
    plain.close()
    assert Review.objects.get().prompt_label == "unharmful"


def test_keys_held_down_in_a_hurry_decide_each_item_once_and_never_leave_the_page(page: Page) -> None:
    items = [scene.text_item(priority=float(number)) for number in range(12)]
    sign_in(page, make_user())
    open_queue(page)
    page.evaluate("window.stayed = true")
    done = page.get_by_role("heading", name="nothing is waiting for you")
    give_up = time.monotonic() + 30
    while not done.is_visible() and time.monotonic() < give_up:
        page.keyboard.press("a")
    assert page.evaluate("window.stayed === true")
    sent(page)
    assert Review.objects.count() == len(items)


def test_work_survives_the_end_of_the_sign_in(page: Page) -> None:
    item = scene.text_item()
    user = make_user()
    sign_in(page, user)
    open_queue(page)
    Session.objects.all().delete()
    note = page.get_by_label("Note")
    note.fill("Looks like a joke to me.")
    expect(page.locator("#saved")).to_have_text("Not saved yet")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("signed out")
    expect(note).to_have_value("Looks like a joke to me.")
    other_tab = page.context.new_page()
    sign_in(other_tab, user)
    page.keyboard.press("x")
    page.keyboard.press("x")
    expect(page.locator("#saved")).to_have_text("Saved")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    assert Review.objects.get(item=item).note == "Looks like a joke to me."


def test_what_was_typed_a_moment_before_an_undo_is_kept(page: Page) -> None:
    done, open_one = scene.text_item(priority=2.0), scene.text_item(priority=1.0)
    sign_in(page, make_user())
    open_queue(page)
    page.keyboard.press("a")
    next_item(page, open_one.external_id)
    page.get_by_label("Note").fill("Half a thought")
    page.get_by_role("button", name="Undo the last decision").click()
    next_item(page, done.external_id)
    assert Draft.objects.get(item=open_one).payload["note"] == "Half a thought"
