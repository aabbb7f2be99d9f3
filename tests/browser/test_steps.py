"""Links of steps and regenerated steps, in a real browser."""

import json

import pytest
from playwright.sync_api import Page, expect

from annotation.models import Draft, Item, Regeneration, Review
from annotation.review.regenerate import regenerate_next
from tests.annotation.scripted_engine import ScriptedEngine
from tests.browser import scene
from tests.browser.test_review_by_keyboard import open_queue, sign_in
from tests.browser.waiting import sent
from tests.factories import make_user, production

pytestmark = pytest.mark.django_db(transaction=True)
REST = (
    " The dog suffers.\nStep 3: No category applies.\nStep 4: So it is a question about sleep.\nStep 5: It is "
    "unharmful.\n</think>\n"
    "<result>\nRequest: unharmful\nResponse: None\n</result>"
)


def links(item: Item) -> list[list[dict[str, object]]]:
    return [step.get("links", []) for step in Draft.objects.get(item=item).payload["steps"]]


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("Saved")


def test_a_frame_and_a_region_are_linked_by_keyboard_and_by_clicks(page: Page) -> None:
    item = scene.video_item()
    sign_in(page, make_user())
    open_queue(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press("l")
    chips = page.locator("[data-step]").first.locator(".link-chip")
    expect(chips).to_have_text(["frame 3 · 0:01.00✕"])
    page.keyboard.press("o")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    expect(chips).to_have_count(2)
    saved(page)
    assert links(item)[0] == [
        {"kind": "frame", "medium": 0, "index": 2},
        {"kind": "region", "medium": 0, "index": 2, "x": 50, "y": 50, "w": 10, "h": 10},
    ]

    page.locator("[data-step]").nth(1).focus()
    page.locator("[data-step]").nth(1).get_by_role("button", name="Link region").click()
    view = page.locator("[data-viewer]")
    box = view.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2 - 40, box["y"] + box["height"] / 2 - 30)
    page.mouse.click(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 + 30)
    expect(page.locator(".link-box")).to_be_visible()
    drawn = page.locator(".link-box").bounding_box()
    assert drawn is not None
    assert abs(drawn["width"] - 80) < 6
    assert abs(drawn["x"] - (box["x"] + box["width"] / 2 - 40)) < 4

    page.keyboard.press(",")
    page.locator("[data-step]").first.get_by_role("button", name="frame 3 · 0:01.00", exact=True).click()
    expect(page.locator("[data-frame-caption]")).to_have_text("frame 3 of 8 · 0:01.00")
    page.get_by_role("button", name="Remove the link to frame 3 · 0:01.00").focus()
    page.keyboard.press("Enter")
    expect(chips).to_have_count(1)
    saved(page)
    page.reload()
    expect(chips).to_have_count(1)
    page.locator("#content").focus()
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="nothing is waiting for you")).to_be_visible()
    sent(page)
    assert [len(step.get("links", [])) for step in Review.objects.get().steps] == [1, 1]
    page.goto(f"/items/{item.pk}/")
    expect(page.get_by_text("region of frame 3 · 0:01.00").first).to_be_visible()


def test_words_are_linked_where_they_stand_in_the_stored_text(page: Page) -> None:
    item = scene.text_item()
    text = "One 🐕 barks.\r\nTwo dogs\n  <b>sleep</b> & dream."
    Item.objects.filter(pk=item.pk).update(prompt=text)
    sign_in(page, make_user())
    open_queue(page)
    assert page.locator("[data-said=prompt]").evaluate("(one) => one.textContent") == text
    page.locator("[data-step]").first.focus()
    page.locator("[data-said=prompt]").evaluate("""(one) => {
        const at = one.textContent.indexOf("Two dogs");
        const range = document.createRange();
        range.setStart(one.firstChild, at); range.setEnd(one.firstChild, at + 8);
        getSelection().removeAllRanges(); getSelection().addRange(range); }""")
    page.locator("[data-step]").first.get_by_role("button", name="Link words").click()
    expect(page.locator(".link-chip")).to_have_text(["“Two dogs”✕"])
    page.keyboard.press("k")  # nothing is selected: type the words
    page.keyboard.type("SLEEP")
    page.keyboard.press("Enter")
    expect(page.locator(".link-chip")).to_have_text(["“Two dogs”✕", "“sleep”✕"])
    assert page.evaluate("CSS.highlights.has('linked-words')")
    saved(page)
    assert [text[int(str(link["start"])) : int(str(link["end"]))] for link in links(item)[0]] == ["Two dogs", "sleep"]


def test_regenerated_steps_become_edits_and_a_mismatch_is_shown(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    expect(page.get_by_text("The guard is asked to write from step 2 on")).to_be_visible()
    assert Regeneration.objects.get().kept == scene_steps(item)[:1]
    regenerate_next(engine=ScriptedEngine(goes_on=lambda sample, prefix: REST), version=production(), limit=1)
    expect(page.get_by_role("heading", name="From step 2, written again")).to_be_visible()
    page.get_by_label("harmful", exact=True).check(force=True)
    expect(page.get_by_text("This reasoning calls the prompt unharmful, and you chose harmful")).to_be_visible()
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("[data-step].is-edited")).to_have_count(2)
    page.get_by_label("unharmful", exact=True).check(force=True)
    expect(page.get_by_text("This reasoning calls the prompt unharmful")).to_be_hidden()
    saved(page)
    steps = Draft.objects.get(item=item).payload["steps"]
    assert [step["edit"] for step in steps] == [
        None,
        "The dog suffers.",
        "No category applies.",
        "So it is a question about sleep.",
        "It is unharmful.",
    ], json.dumps(steps)


def test_steps_that_the_new_reasoning_lacks_are_marked_wrong(page: Page) -> None:
    item = scene.text_item()
    sign_in(page, make_user())
    open_queue(page)
    page.locator("[data-step]").first.focus()
    page.locator("[data-step]").first.get_by_role("button", name="Regenerate from here").click()
    expect(page.get_by_text("The guard is asked")).to_be_visible()
    short = " Only this.\n</think>\n<result>\nRequest: harmful\nResponse: None\n</result>"
    regenerate_next(engine=ScriptedEngine(goes_on=lambda sample, prefix: short), version=production(), limit=1)
    page.get_by_role("button", name="Use it").click()
    saved(page)
    assert [(step["mark"], step["edit"]) for step in Draft.objects.get(item=item).payload["steps"]] == [
        (None, "Only this."),
        ("wrong", None),
        ("wrong", None),
    ]


def scene_steps(item: Item) -> list[str]:
    assert item.prediction is not None
    return list(item.prediction.steps)
