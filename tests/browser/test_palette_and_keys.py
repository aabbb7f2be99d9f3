"""The palette, and keys of a person's own."""

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Item, Review, ReviewQueue
from annotation.status import ReviewKind
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.browser.waiting import sent
from tests.factories import make_item, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def chosen(page: Page, query: str, words: str) -> None:
    """Open the palette, type, and wait for the words to be the marked option."""
    page.wait_for_load_state()  # its scripts listen only then
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type(query)
    expect(page.locator("#palette [aria-selected=true]")).to_contain_text(words)


def test_the_palette_does_what_the_page_can_do_and_finds_places_queues_and_items(page: Page) -> None:
    item = scene.text_item()
    other = make_item(prompt="A second one")
    Item.objects.filter(pk=other.pk).update(external_id="ticket-4711")
    ReviewQueue.objects.create(slug="side", name="Second looks")
    sign_in(page, make_user())
    open_queue(page)
    chosen(page, "accept", "Accept & next")
    # its key stands beside it
    expect(page.locator("#palette [aria-selected=true]")).to_contain_text("a")
    page.keyboard.press("Enter")
    next_item(page, "ticket-4711")
    sent(page)
    assert Review.objects.get().item == item

    chosen(page, "ticket-47", "ticket-4711")  # a pasted id
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Life of this item")).to_be_visible()
    chosen(page, "second", "Second looks")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Second looks: nothing is waiting for you")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#palette [role=option]").nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_a_remapped_key_works_is_printed_and_frees_the_old_one(page: Page) -> None:
    first, second = scene.text_item(priority=2.0), scene.text_item(priority=1.0)
    sign_in(page, make_user())
    page.goto("/account/keys/")
    for label, key in (
        ("Accept verdict and reasoning, and go on", "y"),
        ("Category 3", "F3"),
        ("Undo the last decision", "Control+u"),
    ):
        page.get_by_label(label).focus()
        page.keyboard.press(key)
        expect(page.get_by_label(label)).to_have_value(key)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your keys are saved.")).to_be_visible()

    open_queue(page)
    next_item(page, first.external_id)
    expect(page.get_by_role("button", name="Accept & next")).to_contain_text("y")
    expect(page.locator(".category").nth(2).locator("kbd")).to_have_text("F3")
    expect(page.get_by_role("button", name="Undo the last decision")).to_contain_text("Ctrl u")
    page.keyboard.press("a")  # does nothing any more
    page.keyboard.press("3")
    page.keyboard.press("F3")
    expect(page.locator(".category input").nth(2)).to_be_checked()
    next_item(page, first.external_id)
    page.keyboard.press("y")
    next_item(page, second.external_id)
    page.keyboard.press("Control+u")
    next_item(page, first.external_id)
    sent(page)
    assert Review.objects.get().kind == ReviewKind.ACCEPTED


def test_a_key_that_would_do_two_things_is_refused_by_name(page: Page) -> None:
    sign_in(page, make_user())
    page.goto("/account/keys/")
    page.get_by_label("Escalate").focus()
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("would do two things")
    expect(page.get_by_label("Escalate")).to_have_value("x")
    expect(page.get_by_label("Escalate")).to_have_attribute("aria-invalid", "true")


def test_single_letter_keys_can_be_switched_off(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.keyboard.press("?")
    page.get_by_label("Single-letter keys are on").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("x")
    next_item(page, item.external_id)
    expect(page.get_by_label("unharmful")).not_to_be_checked()
    assert not Review.objects.exists()
