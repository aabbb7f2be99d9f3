"""Decisions that could not be sent: nothing is lost and nothing is stored twice, whatever happens to the page or the
server.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from annotation.models import Assignment, Item, Review
from annotation.status import AssignmentState
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.browser.waiting import outbox, sent
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)
SUBMITS = re.compile(r"/assignments/[^/]+/submit/")
SKIPS = re.compile(r"/assignments/[^/]+/skip/")


@pytest.fixture
def items() -> list[Item]:
    """In the order in which they are served."""
    return [scene.text_item(priority=float(-number)) for number in range(4)]


@pytest.fixture
def context(page: Page) -> Iterator[BrowserContext]:
    yield page.context
    page.context.unroute_all(behavior="ignoreErrors")


def begin(page: Page) -> None:
    """Signed in, the first item on screen and the next one leased ahead."""
    sign_in(page, make_user())
    with page.expect_response(re.compile("/ahead/")):
        open_queue(page)


def reopened(page: Page) -> Page:
    """The page is gone as in a crash: no code of it runs any more. The same browser opens the queue again."""
    context = page.context
    page.close()
    context.unroute_all(behavior="ignoreErrors")
    fresh = context.new_page()
    open_queue(fresh)
    return fresh


def refuse(route: Route) -> None:
    route.fulfill(status=503, body="down for a moment")


def lose_the_answer(route: Route) -> None:
    """The server does it, the page never hears of it."""
    route.fetch()
    route.abort()


def test_a_decision_whose_server_was_down_is_sent_when_the_page_is_opened_again(
    page: Page, context: BrowserContext, items: list[Item]
) -> None:
    begin(page)
    context.route(SUBMITS, refuse)
    page.keyboard.press("a")
    next_item(page, items[1].external_id)  # shown at once
    expect(page.locator("#saved")).to_have_text("Not sent yet: trying again")
    assert not Review.objects.exists()
    page = reopened(page)
    sent(page)
    next_item(page, items[1].external_id)
    assert Review.objects.get().item == items[0]


def test_a_decision_that_the_server_has_already_is_not_stored_twice(
    page: Page, context: BrowserContext, items: list[Item]
) -> None:
    begin(page)
    context.route(SUBMITS, lose_the_answer)
    page.keyboard.press("a")
    next_item(page, items[1].external_id)
    expect(page.locator("#saved")).to_have_text("Not sent yet: trying again")
    assert Review.objects.count() == 1
    page = reopened(page)
    page.get_by_label("Note").fill("Begun while the old one is sent again.")
    sent(page)
    next_item(page, items[1].external_id)
    expect(page.get_by_label("Note")).to_have_value("Begun while the old one is sent again.")
    assert Review.objects.count() == 1


def test_a_server_that_comes_back_gets_every_decision_once_and_in_order(
    page: Page, context: BrowserContext, items: list[Item]
) -> None:
    begin(page)
    context.route(SUBMITS, refuse)
    page.keyboard.press("a")
    next_item(page, items[1].external_id)
    page.get_by_label("Note").fill("A second look.")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    # nothing is leased ahead while the first is unsent: this one waits for it
    page.keyboard.press("n")
    context.unroute_all(behavior="ignoreErrors")
    next_item(page, items[2].external_id)
    sent(page)
    first, second = Review.objects.order_by("id")
    assert (first.item, second.item, second.note) == (items[0], items[1], "A second look.")


def test_a_skip_whose_answer_was_lost_stays_a_skip(page: Page, context: BrowserContext, items: list[Item]) -> None:
    begin(page)
    context.route(SKIPS, lose_the_answer)
    page.keyboard.press("Space")
    next_item(page, items[1].external_id)
    expect(page.locator("#saved")).to_have_text("Not sent yet: trying again")
    page = reopened(page)
    sent(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    next_item(page, items[1].external_id)
    assert Assignment.objects.get(item=items[0]).state == AssignmentState.SKIPPED


def test_a_decision_whose_hold_ran_out_meanwhile_is_kept_as_a_draft_and_reported(
    page: Page, context: BrowserContext, items: list[Item]
) -> None:
    begin(page)
    context.route(SUBMITS, refuse)
    page.get_by_label("Note").fill("Looks like a joke to me.")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.keyboard.press("n")
    next_item(page, items[1].external_id)
    Assignment.objects.filter(item=items[0]).update(state=AssignmentState.EXPIRED)
    Item.objects.filter(pk=items[0].pk).update(free_slots=1)
    page = reopened(page)
    expect(page.get_by_role("alert")).to_contain_text("has run out")
    page.get_by_role("button", name="Take the item again").click()
    next_item(page, items[0].external_id)
    expect(page.get_by_label("Note")).to_have_value("Looks like a joke to me.")
    assert not Review.objects.exists()


def test_somebody_elses_unsent_decision_waits_for_them(page: Page, context: BrowserContext, items: list[Item]) -> None:
    begin(page)
    context.route(SUBMITS, refuse)
    page.keyboard.press("a")
    next_item(page, items[1].external_id)
    mine = Assignment.objects.get(item=items[0]).reviewer
    page.close()
    context.unroute_all(behavior="ignoreErrors")
    context.clear_cookies()
    page = context.new_page()
    sign_in(page, make_user())
    open_queue(page)
    assert outbox(page) == 1
    assert not Review.objects.exists()
    # or what it still asks for, without a session now, would bring a second token for the form of signing in
    page.close()
    context.clear_cookies()
    page = context.new_page()
    sign_in(page, mine)
    open_queue(page)
    sent(page)
    assert Review.objects.get().reviewer == mine
