"""A conversation on the review page, read by keys alone: what came before, and what is judged."""

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Item, Review
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.factories import default_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_earlier_messages_are_read_by_keys_and_the_last_exchange_is_marked(page: Page) -> None:
    item = scene.conversation_item(queue=default_queue())
    text = "\n".join(f"line {number}" for number in range(120))
    item.messages.insert(1, {"role": "user", "text": text, "name": "Ada"})
    item.save(update_fields=["messages"])
    sign_in(page, make_user())
    open_queue(page)
    earlier = page.get_by_role("group", name="Earlier messages")
    expect(earlier.locator("h4")).to_have_text(["System", "Person Ada", "Person", "Assistant"])
    position = "element => element.scrollTop"
    page.keyboard.press("v")
    expect(earlier).to_be_focused()
    begun = earlier.evaluate(position)
    assert begun == 0  # at the newest message; earlier ones lie above
    page.keyboard.press("PageUp")
    page.wait_for_function("element => element.scrollTop < -100", arg=earlier.element_handle())
    page.keyboard.press("ArrowUp")  # scrolls, and walks over no step
    page.keyboard.press(" ")  # pages down, and skips nothing
    page.wait_for_timeout(300)
    next_item(page, item.external_id)
    assert page.locator(".step.is-current").count() == 0 and not Review.objects.exists()
    assert Item.objects.get().assignments.get().state == "active"
    page.keyboard.press("Home")
    expect(earlier.get_by_text("You are the assistant of a hardware store.")).to_be_in_viewport()
    judged = page.get_by_role("group", name="Judged the last exchange")
    expect(judged.locator("[data-said=prompt]")).to_have_text(item.prompt)
    expect(judged.locator("[data-said=response]")).to_have_text(item.response or "")
    assert earlier.locator("[data-said]").count() == 0


def test_pictures_of_a_conversation_are_blurred_and_linked_in_their_order(page: Page) -> None:
    item = scene.conversation_item(queue=default_queue())
    sign_in(page, make_user())
    open_queue(page)
    pictures = page.locator("[data-medium]")
    expect(pictures).to_have_count(2)
    assert [picture.evaluate("one => one.closest('.judged') !== null") for picture in pictures.all()] == [False, True]
    for picture in pictures.all():
        assert "is-blurred" in (picture.get_attribute("class") or "")
    page.keyboard.press("b")
    for picture in pictures.all():
        assert "is-blurred" not in (picture.get_attribute("class") or "")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("l")  # the picture of the judged exchange, not the first of the page
    page.locator("input[name=prompt_label][value=harmful]").check(force=True)
    page.locator("input[name=response_label][value=unharmful]").check(force=True)
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    [step, *_] = Review.objects.get(item=item).steps
    assert step["links"] == [{"kind": "frame", "medium": 1, "index": 0}]
