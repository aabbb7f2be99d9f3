"""A whole shift without the mouse: items of every kind in two queues, each decision once, an undo and a break."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotation.models import Assignment, Event, GoldLabel, Item, Review, ReviewQueue
from annotation.review.flags import flagged_items
from annotation.status import AssignmentState, EventKind, ItemStatus, ReviewKind
from tests.browser import scene
from tests.browser.test_review_by_keyboard import next_item, sign_in
from tests.browser.waiting import sent
from tests.factories import default_queue, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(600)]
MAKERS: tuple[Callable[..., Item], ...] = (
    scene.text_item,
    scene.image_item,
    scene.response_item,
    scene.unparsed_item,
    scene.arabic_item,
    scene.text_item,
    scene.response_item,
    scene.video_item,
)
ACTS = ("accept", "correct", "skip", "flag", "escalate", "accept", "accept", "correct")
COUNT_POINTERS = "window.pointers = 0; addEventListener('pointerdown', () => { window.pointers += 1; }, true);"


def stock(queue: ReviewQueue, count: int) -> list[Item]:
    """In the order in which they are served."""
    return [MAKERS[number % len(MAKERS)](queue=queue, priority=float(-number)) for number in range(count)]


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    said = "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"
    for _ in range(120):
        if str(page.evaluate(said)).startswith(name):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach “{name}”")


def go_to(page: Page, place: str) -> None:
    """By the palette, once what was decided is sent."""
    sent(page)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type(place)
    expect(page.locator("#palette [aria-selected=true]")).to_contain_text(place)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def act(page: Page, item: Item, how: str) -> None:
    next_item(page, item.external_id)
    parsed = item.prediction is not None and item.prediction.parsed
    if how == "flag":
        page.keyboard.press("f")
        expect(page.get_by_role("button", name="Flagged")).to_be_visible()
    if how == "skip":
        page.keyboard.press("Space")
    elif how == "escalate":
        page.keyboard.press("e")
        expect(page.get_by_label("What should the lead decide?")).to_be_focused()
        page.keyboard.type("Is this irony?")
        tab_to(page, "Escalate")
        page.keyboard.press("Enter")
    elif how == "correct" or not parsed:
        page.keyboard.press("x")
        page.keyboard.press("3")
        page.keyboard.press("n")
    else:
        page.keyboard.press("a")


def wanted(item: Item, how: str) -> str:
    """What the database should hold of it."""
    assert item.prediction is not None
    if how in ("skip", "escalate"):
        return {"skip": AssignmentState.SKIPPED, "escalate": AssignmentState.ESCALATED}[how]
    return ReviewKind.CORRECTED if how == "correct" or not item.prediction.parsed else ReviewKind.ACCEPTED


def test_a_shift_of_five_and_twenty_items_by_keyboard_alone(page: Page) -> None:
    page.add_init_script(COUNT_POINTERS)
    first = stock(default_queue(name="Community reports"), 19)
    second = stock(ReviewQueue.objects.create(slug="side", name="Second looks"), 6)
    plan = [(item, ACTS[number % len(ACTS)]) for number, item in enumerate([*first, *second])]
    reviewer = make_user()
    sign_in(page, reviewer)
    go_to(page, "Community reports")
    for item, how in plan[:12]:
        act(page, item, how)

    next_item(page, plan[12][0].external_id)  # from the list of the last ten: one of some items ago
    sent(page)
    undone = Review.objects.filter(reviewer=reviewer).order_by("-id")[3]
    go_to(page, "Review")
    tab_to(page, f"Undo the review of {undone.item.external_id}")
    page.keyboard.press("Enter")
    next_item(page, undone.item.external_id)
    expect(page.locator("#saved")).to_have_text("Draft restored")
    page.keyboard.press("n")
    for item, how in plan[12:15]:
        act(page, item, how)

    # eight minutes between the reviews so far: nearly two hours without a pause
    next_item(page, plan[15][0].external_id)
    sent(page)
    for minutes, review in enumerate(Review.objects.order_by("-id")):
        Review.objects.filter(pk=review.pk).update(created_at=timezone.now() - timedelta(minutes=8 * minutes))
    act(page, *plan[15])
    act(page, *plan[16])
    next_item(page, plan[17][0].external_id)
    expect(page.get_by_text("Time for a break?")).to_be_visible()
    tab_to(page, "Take a break")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Enjoy your break")).to_be_visible()
    go_to(page, "Community reports")
    for item, how in plan[17:19]:
        act(page, item, how)

    expect(page.get_by_role("heading", name="Community reports: nothing is waiting for you")).to_be_visible()
    go_to(page, "Second looks")
    for item, how in plan[19:]:
        act(page, item, how)
    expect(page.get_by_role("heading", name="Second looks: nothing is waiting for you")).to_be_visible()

    assert page.evaluate("window.pointers") == 0
    sent(page)
    kinds = dict(Review.objects.filter(retraction__isnull=True).values_list("item_id", "kind"))
    left = dict(
        Assignment.objects.filter(state__in=[AssignmentState.SKIPPED, AssignmentState.ESCALATED]).values_list(
            "item_id", "state"
        )
    )
    assert kinds | left == {item.pk: wanted(item, how) for item, how in plan}
    assert Review.objects.filter(retraction__isnull=False).count() == 1
    assert GoldLabel.objects.standing().count() == len(kinds) == Item.objects.filter(status=ItemStatus.REVIEWED).count()
    assert {item.pk for item in flagged_items(reviewer)} == {item.pk for item, how in plan if how == "flag"}
    assert Counter(Event.objects.values_list("kind", flat=True))[EventKind.BREAK_TAKEN] == 1
