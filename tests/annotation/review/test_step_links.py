"""Links of reasoning steps to what they rest on."""

import uuid
from typing import Any

import pytest

from annotation.errors import DecisionNotValid
from annotation.exporting.canonical import canonical
from annotation.exporting.reviewed_rows import reviewed_rows
from annotation.models import Assignment, Review
from annotation.review.assign import assign_next
from annotation.review.decision import Decision, StepReview
from annotation.review.step_links import Link
from annotation.review.submit import submit_review
from annotation.status import ErrorKind, ReviewKind
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
STEPS = ("The user asks for a thing.", "The thing is dangerous (S1).")
SEEN = [{"asset": "0" * 64, "folder": "x", "reader": "pillow", "timestamps": [0.0, 0.5], "width": 64, "height": 64}]


def lease() -> Assignment:
    make_item(prompt="A thing", prediction={"media_seen": SEEN})
    held = assign_next(reviewer=make_user(), queue=default_queue())
    assert held is not None
    return held


def submit(held: Assignment, *links: dict[str, Any], reason: str = "", kinds: tuple[ErrorKind, ...] = ()) -> Review:
    steps = (StepReview(STEPS[0], links=tuple(Link.of(link) for link in links)), StepReview(STEPS[1]))
    return submit_review(
        reviewer=held.reviewer,
        token=held.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(ReviewKind.ACCEPTED, Harmfulness.HARMFUL, steps=steps, reason=reason, error_kinds=kinds),
    )


@pytest.mark.parametrize(
    "link",
    [
        {"kind": "frame", "medium": 0, "index": 1},
        {"kind": "span", "field": "prompt", "start": 2, "end": 7},
        {"kind": "region", "medium": 0, "index": 0, "x": 10, "y": 20.5, "w": 30, "h": 40},
    ],
)
def test_a_link_is_stored_with_its_step(link: dict[str, Any]) -> None:
    review = submit(lease(), link)
    assert review.steps[0]["links"] == [link]
    assert "links" not in review.steps[1]


@pytest.mark.parametrize(
    "link",
    [
        {"kind": "frame", "medium": 0, "index": 2},
        {"kind": "frame", "medium": 1, "index": 0},
        {"kind": "frame", "medium": 0},
        {"kind": "frame", "medium": 0, "index": "1"},
        {"kind": "span", "field": "prompt", "start": 5, "end": 5},
        {"kind": "span", "field": "prompt", "start": 0, "end": 99},
        {"kind": "span", "field": "response", "start": 0, "end": 1},
        {"kind": "region", "medium": 0, "index": 0, "x": 90, "y": 0, "w": 20, "h": 5},
        {"kind": "smell"},
        {},
        {"kind": ["frame"]},
        {"kind": "span", "field": "prompt", "start": True, "end": 2},
    ],
)
def test_a_link_to_nothing_is_refused(link: dict[str, Any]) -> None:
    held = lease()
    with pytest.raises(DecisionNotValid) as error:
        submit(held, link)
    assert error.value.field == "steps"


def test_reason_error_kinds_and_links_are_exported() -> None:
    link = {"kind": "span", "field": "prompt", "start": 2, "end": 7}
    submit(lease(), link, reason="It is a quote.", kinds=(ErrorKind.MISREAD,))
    ((row,),) = reviewed_rows(whole=True)
    (review,) = canonical(row)["review"]
    assert (review["reason"], review["links"]) == ("It is a quote.", [{"step": 0, **link}])
