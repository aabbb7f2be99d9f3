"""What a queue demands of a harmful verdict, at the keyboard: said at once, with the focus where it is missing."""

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Item, Review
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.factories import default_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_accepting_harm_without_a_category_says_what_is_missing_and_sends_nothing(page: Page) -> None:
    queue = default_queue(demands=["category", "severity", "reason"])
    first = scene.text_item(queue=queue, priority=2.0)
    second = scene.text_item(queue=queue, priority=1.0)
    assert first.prediction is not None
    first.prediction.categories = []
    first.prediction.save(update_fields=["categories"])
    sign_in(page, make_user())
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/submit/") else None)
    open_queue(page)
    with page.expect_response("**/ahead/**"):
        next_item(page, first.external_id)
    expect(page.get_by_text("needed if harmful")).to_have_count(3)
    page.get_by_role("tab", name="Policy").click()  # the fields are out of sight
    page.locator("#content").focus()
    page.get_by_role("tab", name="Decide").click()
    page.keyboard.press("a")
    notice = page.locator("#review-notice")
    for words in ("demands a category", "demands a severity", "demands a reason"):
        expect(notice.get_by_text(words)).to_be_visible()
    expect(page.locator("input[name=categories]").first).to_be_focused()
    next_item(page, first.external_id)
    assert sent == [] and not Review.objects.exists()

    page.keyboard.press("1")
    page.keyboard.press("n")
    expect(notice.get_by_text("demands a category")).to_have_count(0)
    expect(page.locator("input[name=severity]").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    expect(page.locator("#why")).to_be_focused()
    page.keyboard.type("It harms an animal in secret.")
    page.keyboard.press("Control+Enter")
    next_item(page, second.external_id)
    expect(notice).to_be_empty()
    page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('outbox:'))")
    review = Review.objects.get()
    assert (review.item_id, review.categories, review.reason) == (first.pk, ["S1"], "It harms an animal in secret.")
    assert review.severity is not None and len(sent) == 1

    page.keyboard.press("x")  # unharmful: nothing is demanded
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    assert Item.objects.filter(status="reviewed").count() == 2
