"""The context of an item is read by keys alone: the fold opens, scrolls, leads to the author's history, and closes."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import scene
from tests.browser.scene_context import context_item
from tests.browser.test_review_by_keyboard import next_item, sign_in
from tests.factories import default_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_thread_and_the_authors_history_are_read_by_keys_alone(page: Page) -> None:
    item = context_item(queue=default_queue())
    sign_in(page, make_user())
    page.goto("/review/default/")
    next_item(page, item.external_id)
    fold, panel = page.locator("[data-context-fold]"), page.get_by_role("region", name="Context")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(fold).to_contain_text("3 reports")
    expect(panel).to_be_hidden()

    page.keyboard.press("i")
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(panel).to_be_focused()
    expect(panel).to_contain_text("2 harmful")
    expect(panel).to_contain_text("1 unharmful")
    expect(panel).to_contain_text("Selling my old bike, almost new.")
    page.keyboard.press("End")  # the keys of a page scroll the panel, and no step is chosen
    thread = page.get_by_role("region", name="Thread")
    expect(thread.get_by_text("Relax, it was a joke.")).to_be_in_viewport()
    for words in ("Whose dog barks all night", "It is ours.", "the author", "answered by this item", "UTC"):
        expect(thread).to_contain_text(words)
    page.keyboard.press("ArrowUp")
    expect(page.locator(".step.is-current")).to_have_count(0)
    expect(panel).to_be_focused()

    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Profile")).to_be_focused()
    for _ in range(4):  # three earlier decisions, then the list of all
        page.keyboard.press("Tab")
    more = page.get_by_role("link", name="More by this author")
    expect(more).to_be_focused()
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    items = opened.value
    expect(items.get_by_role("link", name="Remove the filter Author")).to_be_visible()
    expect(items.locator("table.rows tbody tr")).to_have_count(5)
    items.close()

    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(fold).to_be_focused()


def test_the_fold_stays_as_it_was_left_with_the_next_item_and_after_a_reload(page: Page) -> None:
    queue = default_queue()
    first, second = scene.text_item(queue=queue, priority=2.0), scene.response_item(queue=queue, priority=1.0)
    sign_in(page, make_user())
    page.goto("/review/default/")
    next_item(page, first.external_id)
    fold, panel = page.locator("[data-context-fold]"), page.get_by_role("region", name="Context")
    with page.expect_response("**/ahead/"):  # the next item is sent while the fold is closed
        page.reload()
    page.keyboard.press("i")
    expect(panel).to_contain_text("reported as cruelty to animals")
    page.keyboard.press("a")
    next_item(page, second.external_id)
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(panel).to_contain_text("Nobody has reported it.")
    page.reload()
    expect(panel).to_be_visible()
    page.keyboard.press("i")
    expect(panel).to_be_hidden()
    page.reload()
    expect(panel).to_be_hidden()
