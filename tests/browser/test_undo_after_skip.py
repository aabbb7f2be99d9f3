"""Ctrl+Z takes back what the person did last, also while it is still unsent, and never anything older."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from annotation.models import Assignment, Item, Review
from annotation.review.assign import assign_next
from annotation.status import AssignmentState
from tests.browser.test_outbox import begin, context, items  # noqa: F401  (fixtures)
from tests.browser.test_review_by_keyboard import next_item
from tests.browser.waiting import sent
from tests.factories import default_queue, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
SKIPS = re.compile(r"/assignments/[^/]+/skip/")
SUBMITS = re.compile(r"/assignments/[^/]+/submit/")


def test_undo_after_a_decision_and_two_skips_brings_the_skipped_items_back(page: Page, items: list[Item]) -> None:  # noqa: F811
    begin(page)
    page.keyboard.press("a")
    next_item(page, items[1].external_id)
    page.keyboard.press("Space")
    next_item(page, items[2].external_id)
    page.keyboard.press("Space")
    next_item(page, items[3].external_id)
    page.keyboard.press("Control+z")
    next_item(page, items[2].external_id)
    page.keyboard.press("Control+z")
    next_item(page, items[1].external_id)
    assert Review.objects.get().item == items[0]
    assert not hasattr(Review.objects.get(), "retraction")


def test_undo_waits_for_a_skip_that_is_not_sent_yet(page: Page, items: list[Item]) -> None:  # noqa: F811
    begin(page)
    with page.expect_response(re.compile("/ahead/")):
        page.keyboard.press("a")
        next_item(page, items[1].external_id)
    sent(page)
    page.wait_for_timeout(200)  # the answer is put into the page
    page.context.route(SKIPS, lambda route: route.fulfill(status=503, body="down for a moment"))
    page.keyboard.press("Space")
    next_item(page, items[2].external_id)
    page.keyboard.press("Control+z")
    expect(page.locator("#saved")).to_have_text("Not sent yet: trying again")
    page.context.unroute_all(behavior="ignoreErrors")
    next_item(page, items[1].external_id)
    assert Assignment.objects.filter(item=items[1], state=AssignmentState.UNDONE).count() == 1
    assert Review.objects.filter(retraction__isnull=True).count() == 1


def test_an_item_that_somebody_else_took_stays_with_them_and_the_page_says_so(page: Page, items: list[Item]) -> None:  # noqa: F811
    begin(page)
    page.keyboard.press("Space")
    next_item(page, items[1].external_id)
    sent(page)
    taken = assign_next(reviewer=make_user(), queue=default_queue())
    assert taken is not None and taken.item == items[0]
    page.keyboard.press("Control+z")
    expect(page.get_by_role("alert")).to_contain_text("gone to somebody else meanwhile")
    next_item(page, items[1].external_id)


def test_undo_says_so_where_the_last_decision_is_set_aside_and_undoes_nothing_older(
    page: Page,
    items: list[Item],  # noqa: F811
) -> None:
    begin(page)
    with page.expect_response(re.compile("/ahead/")):
        page.keyboard.press("a")
        next_item(page, items[1].external_id)
    sent(page)
    page.wait_for_timeout(200)  # the answer is put into the page

    def fail(route: Route) -> None:
        route.fulfill(status=500, body="an error of the program")

    page.context.route(SUBMITS, fail)
    page.keyboard.press("a")
    expect(page.locator("#aside-letters")).to_contain_text("was not taken", timeout=20_000)
    page.keyboard.press("Control+z")
    expect(page.locator("#review-notice")).to_contain_text("Nothing older was undone")
    page.context.unroute_all(behavior="ignoreErrors")
    assert Review.objects.filter(retraction__isnull=True).count() == 1
    page.get_by_role("button", name="Discard it").click()
    page.keyboard.press("Control+z")
    next_item(page, items[0].external_id)
