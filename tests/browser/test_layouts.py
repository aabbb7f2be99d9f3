"""Keys on other keyboard layouts, and beside an input method that composes characters."""

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Review
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.browser.waiting import sent
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)
PRESS = """(event) => {
  const target = document.activeElement || document.body;
  target.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...event }));
}"""
ACCEPT = {
    "Russian": {"key": "ф", "code": "KeyA"},
    "Greek": {"key": "α", "code": "KeyA"},
    "AZERTY": {"key": "a", "code": "KeyQ"},
    "Dvorak": {"key": "a", "code": "KeyA"},
}


@pytest.mark.parametrize("event", ACCEPT.values(), ids=ACCEPT)
def test_an_item_is_accepted_on_every_layout(page: Page, event: dict[str, str]) -> None:
    items = [scene.text_item(priority=float(-number)) for number in range(2)]
    sign_in(page, make_user())
    open_queue(page)
    page.evaluate(PRESS, event)
    next_item(page, items[1].external_id)
    sent(page)
    assert Review.objects.get().item == items[0]


def test_a_key_that_composes_decides_nothing(page: Page) -> None:
    items = [scene.text_item(priority=float(-number)) for number in range(2)]
    sign_in(page, make_user())
    open_queue(page)
    page.evaluate(PRESS, {"key": "a", "code": "KeyA", "isComposing": True})
    page.evaluate(PRESS, {"key": "Process", "code": "KeyA", "keyCode": 229})
    next_item(page, items[0].external_id)
    assert not Review.objects.exists()


def test_the_enter_that_ends_a_composition_runs_nothing_in_the_palette(page: Page) -> None:
    scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    here = page.url
    page.evaluate(PRESS, {"key": "л", "code": "KeyK", "ctrlKey": True})
    expect(page.locator("#palette")).to_be_visible()
    page.locator("#palette input").fill("a")
    expect(page.locator("#palette [role=option]").first).to_be_visible()
    page.evaluate(PRESS, {"key": "Enter", "code": "Enter", "isComposing": True})
    page.evaluate(PRESS, {"key": "Enter", "code": "Enter", "keyCode": 229})
    expect(page.locator("#palette")).to_be_visible()
    assert page.url == here
