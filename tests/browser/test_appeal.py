"""An appeal, from the item's page to the person who is new to it."""

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Appeal, GoldLabel
from annotation.status import AppealState, Role
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, open_queue, sign_in
from tests.browser.waiting import sent
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in_anew(page: Page, *, role: Role = Role.REVIEWER) -> None:
    page.context.clear_cookies()
    sign_in(page, make_user(role))


def test_an_appealed_item_comes_to_somebody_else_first_and_the_outcome_is_shown(page: Page) -> None:
    item = scene.text_item()
    reviewer = make_user()
    sign_in(page, reviewer)
    open_queue(page)
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    other = scene.text_item(priority=50.0)

    signed_in_anew(page, role=Role.LEAD)
    page.goto(f"/items/{item.pk}/")
    page.get_by_role("button", name="Appeal").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Why should it be looked at again?").fill("The dog is mine, and a vet told me to.")
    page.get_by_label("Who objects").fill("user 12")
    page.get_by_role("button", name="Open the appeal").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("An appeal is open")).to_be_visible()
    # it stands until the appeal is decided
    assert GoldLabel.objects.standing().get().prompt_label == "harmful"

    page.context.clear_cookies()
    sign_in(page, reviewer)
    open_queue(page)
    next_item(page, other.external_id)  # never the appealed one

    signed_in_anew(page)
    open_queue(page)
    next_item(page, item.external_id)  # ahead of the queue
    expect(page.locator(".why")).to_contain_text("Appeal lane")
    page.keyboard.press("x")
    page.keyboard.press("n")
    # the other one is held
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    assert Appeal.objects.get().state == AppealState.OVERTURNED
    assert GoldLabel.objects.standing().get().prompt_label == "unharmful"

    signed_in_anew(page, role=Role.LEAD)
    page.goto("/appeals/")
    expect(page.get_by_role("row", name="The verdict was changed")).to_contain_text("The dog is mine")
