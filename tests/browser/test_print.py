"""On paper, pages are light whatever the theme, without controls, and what is blurred stays so. And long facts fit."""

import pytest
from playwright.sync_api import Page, expect

from annotation.status import Role
from tests.browser import scene
from tests.browser.test_review_by_keyboard import sign_in
from tests.factories import make_item, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
GROUND = "getComputedStyle(document.body).backgroundColor"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def lightness(page: Page) -> int:
    colour = page.evaluate(f"{GROUND}.match(/\\d+/g).map(Number)")
    return sum(colour[:3])


@pytest.mark.parametrize("choice", ["system", "dark"])
def test_a_page_in_the_dark_prints_light_and_without_controls(page: Page, choice: str) -> None:
    item = scene.image_item()
    sign_in(page, make_user(Role.LEAD))
    page.emulate_media(color_scheme="dark")
    page.evaluate(f"localStorage.setItem('theme', '{choice}')")
    page.goto(f"/items/{item.pk}/")
    assert lightness(page) < 200
    page.emulate_media(media="print", color_scheme="dark")
    assert lightness(page) > 600
    expect(page.locator(".topbar")).not_to_be_visible()
    assert page.locator("button:visible, .btn:visible, select:visible").count() == 0
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()
    blurred = page.locator(".is-blurred .shield").first
    assert "blur" in blurred.evaluate("(element) => getComputedStyle(element).filter")
    page.emulate_media(media="screen", color_scheme="dark")
    page.locator('[data-media="blur"]').first.click()
    expect(page.locator(".shield").first).to_have_css("filter", "none")
    page.emulate_media(media="print", color_scheme="dark")
    shown = page.locator(".shield").first.evaluate("(element) => getComputedStyle(element).filter")
    assert "blur" not in shown, "what the person uncovered is printed as it is seen"


def test_the_review_page_prints_whole(page: Page) -> None:
    scene.text_item()
    sign_in(page, make_user())
    page.goto("/review/default/")
    page.emulate_media(media="print", color_scheme="dark")
    assert lightness(page) > 600
    assert page.locator("button:visible, .btn:visible").count() == 0


def test_facts_with_very_long_names_and_values_fit_a_telephone(page: Page) -> None:
    metadata = {"k" * 400: "v" * 3_000, "short": "x", "a key with spaces " * 20: "https://example.org/" + "p/" * 400}
    item = make_item(metadata=metadata, reason={"r" * 300: "s" * 900})
    sign_in(page, make_user(Role.LEAD))
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(f"/items/{item.pk}/")
        assert page.evaluate(WIDER) <= 0
        values = page.locator(".facts dd")
        assert min(box["width"] for box in (value.bounding_box() for value in values.all()) if box) > 100
