"""A decision that the server refuses again and again holds neither the other decisions nor the browser."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from annotation.models import Item, Review
from tests.browser import scene
from tests.browser.test_outbox import begin, context, items, reopened  # noqa: F401  (fixtures)
from tests.browser.test_review_by_keyboard import next_item
from tests.browser.waiting import sent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
SUBMITS = re.compile(r"/assignments/[^/]+/submit/")
assert scene


def fail_the_first(page: Page) -> None:
    """The program fails on the first decision, however often it is sent, and takes every other one."""
    first: list[str] = []

    def answer(route: Route) -> None:
        first.append(route.request.url)
        if route.request.url == first[0]:
            route.fulfill(status=500, body="an error of the program")
        else:
            route.continue_()

    page.context.route(SUBMITS, answer)


def test_a_decision_that_stays_refused_is_set_aside_with_its_text_and_the_others_are_delivered(
    page: Page,
    items: list[Item],  # noqa: F811
) -> None:
    begin(page)
    fail_the_first(page)
    page.get_by_label("Note").fill("Seen twice this week.\x0bSame sender.")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    next_item(page, items[1].external_id)
    aside = page.locator("#aside-letters")
    expect(aside).to_contain_text("was not taken", timeout=20_000)
    expect(aside).to_contain_text("Seen twice this week.")
    expect(page.locator("#saved")).not_to_have_text("Not sent yet: trying again")
    page.keyboard.press("a")
    next_item(page, items[0].external_id)  # the person holds it still, so it comes back
    sent(page)
    assert [review.item for review in Review.objects.all()] == [items[1]]
    page = reopened(page)
    expect(page.locator("#aside-letters")).to_contain_text("Seen twice this week.")
    page.get_by_role("button", name="Send it again").click()
    sent(page)
    expect(page.locator("#aside-letters")).to_be_empty()
    assert {review.item for review in Review.objects.all()} == {items[0], items[1]}
    assert Review.objects.get(item=items[0]).note == "Seen twice this week.Same sender."
