"""The windows of a long item on the review page: read by keys, and shown in the evidence."""

import os

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Item
from annotation.status import TOO_LONG, Lane
from tests.browser.test_review_by_keyboard import open_queue, sign_in
from tests.factories import make_item, make_user

pytestmark = pytest.mark.django_db(transaction=True)
LINE = "Line {number} of a long letter about bread, flour and water.\n"
HIGHLIGHTED = "[...(CSS.highlights.get('linked-words') || [])].map(range => range.toString()).join('')"


def window(start: int, end: int, label: str, *, decisive: bool = False, parsed: bool = True) -> dict[str, object]:
    return {
        "prompt": [start, end],
        "response": None,
        "completion": "…",
        "parsed": parsed,
        "prompt_label": label if parsed else None,
        "response_label": None,
        "categories": ["S1"] if label == "harmful" else [],
        "prompt_score": 0.9,
        "response_score": None,
        "decisive": decisive,
    }


def long_item() -> Item:
    text = "".join(LINE.format(number=number) for number in range(600))
    third = len(text) // 3
    windows = [
        window(0, third + 100, "unharmful"),
        window(third - 100, 2 * third + 100, "unharmful", parsed=False),
        window(2 * third - 100, len(text), "harmful", decisive=True),
    ]
    return make_item(prompt=text, prediction={"windows": windows})


def test_the_decisive_window_is_marked_and_shown_in_the_evidence_by_keys(page: Page) -> None:
    item = long_item()
    sign_in(page, make_user())
    open_queue(page)
    windows = page.get_by_role("region", name="Read in 3 windows").get_by_role("button")
    expect(windows).to_have_count(3)
    expect(windows.nth(1)).to_contain_text("not readable")
    expect(page.locator("[data-show-window][aria-current]")).to_contain_text("harmful")
    start, end = item.prediction.windows[2]["prompt"]  # type: ignore[union-attr,index]
    pane = page.locator(".evidence .pane-body")
    before = pane.evaluate("element => element.scrollTop")
    windows.nth(2).focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"{HIGHLIGHTED}.length > 0")
    assert page.evaluate(HIGHLIGHTED) == item.prompt[start:end]
    page.wait_for_function(
        "([element, was]) => element.scrollTop !== was || window.scrollY > 0", arg=[pane.element_handle(), before]
    )
    for name, size in {"wide": (1440, 900), "narrow": (390, 844)}.items():
        for theme in ("light", "dark"):
            if folder := os.environ.get("LOOK_AT"):
                page.set_viewport_size({"width": size[0], "height": size[1]})
                page.emulate_media(color_scheme=theme)
                windows.nth(2).scroll_into_view_if_needed()
                page.screenshot(path=f"{folder}/windows-{name}-{theme}.png")
    page.set_viewport_size({"width": 1440, "height": 900})
    windows.nth(0).focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"{HIGHLIGHTED}.startsWith('Line 0 ')")
    page.locator("[data-step]").first.focus()
    page.keyboard.press("ArrowDown")
    page.locator(".step.is-current").get_by_role("button", name="Show the window").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"{HIGHLIGHTED}.includes('Line 599 ')")


def test_an_item_that_is_too_long_says_so_with_the_count_and_the_limit(page: Page) -> None:
    words = "This is too long for the guard: 40,028 tokens, it reads at most 31,231."
    make_item(predicted=False, error_code=TOO_LONG, error_message=words, lane=Lane.UNCERTAIN)
    sign_in(page, make_user())
    open_queue(page)
    expect(page.get_by_role("heading", name="Too long for the guard")).to_be_visible()
    expect(page.locator(".judgement")).to_contain_text("40,028 tokens")
    if folder := os.environ.get("LOOK_AT"):
        page.screenshot(path=f"{folder}/too-long.png")
    page.goto(page.url.split("/review/")[0] + f"/items/?guard={TOO_LONG}")
    expect(page.locator("body")).to_contain_text("too long for the guard")
