"""A reviewer's whole way under /guard/, through a proxy that strips the path and without one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Response, expect

from tests.browser.subpath_server import PASSWORD, USER, proxy, serving
from tests.browser.test_review_by_keyboard import next_item
from tests.browser.waiting import sent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def test_an_item_is_reviewed_under_a_path(chromium: Browser, tmp_path: Path, migrated: Callable[[Path], None]) -> None:
    migrated(tmp_path)
    with serving(tmp_path, GUARDAPP_PATH="/guard") as port, proxy(port, "/guard") as outside:
        for base in (f"http://127.0.0.1:{outside}", f"http://127.0.0.1:{port}"):
            _review(chromium, base)


def _review(chromium: Browser, base: str) -> None:
    context = chromium.new_context(base_url=base, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    wrong: list[str] = []

    def look(response: Response) -> None:
        if response.status >= 400 or not response.url.startswith(f"{base}/guard/"):
            wrong.append(f"{response.status} {response.url}")

    page.on("response", look)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto("/guard/")
    expect(page).to_have_url(f"{base}/guard/login/?next=/guard/")
    page.keyboard.type(USER)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{base}/guard/")
    page.goto("/guard/review/default/")
    expect(page.get_by_role("tab", name="Decide")).to_be_visible()
    first = page.locator(".item-id").inner_text().strip()
    with page.expect_response("**/ahead/"):
        page.reload()
    page.wait_for_timeout(300)  # the item ahead is put into the page
    page.keyboard.press("a")
    expect(page.locator(".item-id")).not_to_have_text(first)
    sent(page)
    page.keyboard.press("Control+z")
    next_item(page, first)
    page.keyboard.press("Control+k")
    page.locator("#palette input").fill("item")
    expect(page.locator("#palette [role=option]").last).to_be_visible()
    page.keyboard.press("Escape")
    for address in ("items/", "training/", "insights/", "api/docs", "account/"):
        page.goto(f"/guard/{address}")
    assert wrong == []
    assert {cookie["path"] for cookie in context.cookies()} == {"/guard/"}
    context.close()
