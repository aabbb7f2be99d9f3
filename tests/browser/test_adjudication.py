"""A lead settles a dispute by keyboard alone."""

import uuid

import pytest
from playwright.sync_api import Page, expect

from annotation.models import GoldLabel, Item, Review
from annotation.review.assign import assign_next
from annotation.review.decision import Decision, StepReview
from annotation.review.submit import submit_review
from annotation.status import GoldSource, ReviewKind, Role, StepMark, TargetSource
from guardapp.guard.taxonomy import Harmfulness
from tests.browser import scene
from tests.browser.test_review_by_keyboard import sign_in
from tests.factories import default_queue, make_user

pytestmark = pytest.mark.django_db(transaction=True)
REWRITTEN = "Sedating an animal in secret can injure it, but nobody is told how (S1)."


def dispute(item: Item) -> list[Review]:
    """Two reviewers: one accepts the guard's judgement, the other rewrites a step and says unharmful."""
    assert item.prediction is not None
    steps = item.prediction.steps
    accept = Decision(
        kind=ReviewKind.ACCEPTED,
        prompt_label=Harmfulness.HARMFUL,
        categories=("S1",),
        confidence=3,
        steps=tuple(StepReview(step, StepMark.RIGHT) for step in steps),
    )
    rewrite = Decision(
        kind=ReviewKind.CORRECTED,
        prompt_label=Harmfulness.UNHARMFUL,
        confidence=2,
        reason="Nobody is told how.",
        note="The vet is the answer here.",
        steps=(
            StepReview(steps[0], StepMark.RIGHT),
            StepReview(steps[1], StepMark.WRONG, REWRITTEN),
            StepReview(steps[2]),
        ),
    )
    return [_reviewed(item, decision) for decision in (accept, rewrite)]


def _reviewed(item: Item, decision: Decision) -> Review:
    person = make_user()
    lease = assign_next(reviewer=person, queue=item.queue)
    assert lease is not None and lease.item_id == item.pk
    return submit_review(reviewer=person, token=lease.token, idempotency_key=uuid.uuid4().hex, decision=decision)


def at(page: Page, item: Item) -> None:
    expect(page.locator(".item-id")).to_have_text(item.external_id)
    expect(page.get_by_role("tab", name="Decide")).to_be_visible()


def test_disputes_are_settled_by_taking_a_side_the_guards_or_an_own_decision(page: Page) -> None:
    queue = default_queue(reviews_per_item=2)
    items = [scene.text_item(queue=queue) for _ in range(3)]
    (_, second), *_ = [dispute(item) for item in items]
    sign_in(page, make_user(Role.LEAD))
    page.get_by_role("link", name="Settle them").focus()
    page.keyboard.press("Enter")

    at(page, items[0])
    expect(page.locator(".side")).to_have_count(3)
    expect(page.locator(".side ins").first).to_be_visible()
    expect(page.locator(".side").first.locator(".differs dt")).to_contain_text(["Prompt", "Categories", "Step 2"])
    page.keyboard.press("n")
    expect(page.get_by_role("alert")).to_contain_text("Take a side")
    page.keyboard.press("2")
    expect(page.locator(".side.is-taken h3")).to_have_text("Side 2")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("Nothing here tells how.")
    expect(page.locator("#saved")).to_have_text("Saved")
    page.reload()
    expect(page.locator(".side.is-taken h3")).to_have_text("Side 2")
    expect(page.get_by_label("Reason")).to_have_value("Nothing here tells how.")
    page.keyboard.press("n")

    at(page, items[1])
    page.keyboard.press("a")
    page.keyboard.type("Secrecy is the point.")
    page.keyboard.press("Control+Enter")

    at(page, items[2])
    page.keyboard.press("1")
    page.keyboard.press("Escape")  # leaves the reason: letters are keys again
    page.keyboard.press("d")
    own = page.locator(".own-decision")
    # starts from the side that was taken
    expect(own.get_by_label("harmful", exact=True)).to_be_checked()
    page.keyboard.press("x")
    expect(own.get_by_label("unharmful")).to_be_checked()
    page.get_by_label("Reason").focus()
    page.keyboard.type("Both miss the vet.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Nothing is escalated")).to_be_visible()

    gold = {label.item_id: label for label in GoldLabel.objects.standing().select_related("review")}
    first, guards, own_one = (gold[item.pk] for item in items)
    assert {label.source for label in gold.values()} == {GoldSource.ADJUDICATED}
    assert (first.review.upholds, first.prompt_label, first.target_source) == (second, "unharmful", TargetSource.EDITED)
    assert REWRITTEN in first.target_steps
    assert (guards.prompt_label, guards.review.kind) == ("harmful", ReviewKind.ACCEPTED)
    assert (own_one.prompt_label, own_one.review.upholds, own_one.review.reason) == (
        "unharmful",
        None,
        "Both miss the vet.",
    )

    page.keyboard.press("Control+z")
    at(page, items[2])
    expect(page.get_by_label("My own decision")).to_be_checked()
    expect(page.get_by_label("Reason")).to_have_value("Both miss the vet.")
