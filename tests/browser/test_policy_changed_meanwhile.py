"""A policy is published while a reviewer is in the middle of an item: nothing that they did is lost or turned."""

import pytest
from playwright.sync_api import Page, expect

from annotation.models import HardSample, Review
from annotation.policies.publish import CategoryText, categories_of, publish_version
from annotation.predictions.active_policy import active_policy_version
from annotation.status import ReviewKind, Role
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.browser.waiting import sent
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def publish(*, without: str = "", **names: str) -> None:
    newest = active_policy_version()
    publish_version(
        policy=newest.policy,
        text="",
        categories=[
            CategoryText(one.code, names.get(one.code, one.name), one.guidance)
            for one in categories_of(newest)
            if one.code != without
        ],
        change="As the team agreed.",
        by=make_user(Role.LEAD),
        based_on=newest.number,
    )


def test_ticks_outlive_a_new_version_on_the_open_page_and_in_the_draft(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    next_item(page, item.external_id)
    page.keyboard.press("7")
    box = page.locator('input[name="categories"][value="S7"]')
    expect(box).to_be_checked()
    expect(page.locator("#saved")).to_have_text("Saved")

    publish(without="S7", S1="Cruelty")
    page.keyboard.press("2")  # the page of before saves again
    expect(page.locator("#saved")).to_have_text("Saved")
    page.wait_for_load_state("networkidle")
    page.reload()
    next_item(page, item.external_id)
    expect(box).to_be_checked()
    expect(page.locator(".category", has=box)).to_contain_text("retired")
    expect(page.locator('input[name="categories"][value="S2"]')).to_be_checked()
    expect(page.locator(".verdict")).to_contain_text("S1 Cruelty")
    page.get_by_label("harmful", exact=True).check()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    assert sorted(Review.objects.get().categories) == ["S2", "S7"]


def test_accepting_on_a_page_of_before_is_one_key_still(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    next_item(page, item.external_id)
    publish(without="S1")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    review = Review.objects.get()
    assert (review.kind, review.categories) == (ReviewKind.ACCEPTED, ["S1"])
    assert not HardSample.objects.exists()


def test_accepting_after_the_change_keeps_the_retired_category(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    publish(without="S1", S2="Scams")
    open_queue(page)
    next_item(page, item.external_id)
    expect(page.locator(".verdict")).to_contain_text("S1 Violent crimes (retired)")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    review = Review.objects.get()
    assert (review.kind, review.categories) == (ReviewKind.ACCEPTED, ["S1"])
