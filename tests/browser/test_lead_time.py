"""What the review page counts as work: a hidden page does not count, nor time without a sign of the person."""

import pytest
from playwright.sync_api import Page
from pytest_django import Settings

from annotation.models import Review
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.browser.waiting import sent
from tests.factories import make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_idle_and_hidden_time_does_not_count(page: Page, settings: Settings) -> None:
    settings.IDLE_SECONDS = 2
    items = [scene.text_item(priority=float(-number)) for number in range(2)]
    sign_in(page, make_user())
    with page.expect_response("**/ahead/"):
        open_queue(page)
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(6_000)  # two of which count: nothing is touched
    page.keyboard.press("ArrowDown")
    page.evaluate(HIDE, True)
    page.wait_for_timeout(4_000)
    page.evaluate(HIDE, False)
    page.keyboard.press("a")
    next_item(page, items[1].external_id)
    sent(page)
    review = Review.objects.get()
    assert review.item == items[0]
    assert 1.5 <= review.seconds <= 6.0, "more than ten seconds have passed"
