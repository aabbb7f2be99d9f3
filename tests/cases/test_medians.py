"""The median of an even count lies between the two in the middle."""

import statistics
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as some

from annotation.insights.reviewers import _pace, paces
from annotation.models import Review
from annotation.status import AssignmentState
from benchmarks.serving import middle
from tests.cases.test_undo_after_skip import decide
from tests.factories import make_item, make_user

DONE: dict[str, int] = {AssignmentState.SUBMITTED: 1}


@pytest.mark.parametrize(
    ("seconds", "median"), [([2.0, 10.0], 6.0), ([9.0, 1.0, 2.0, 4.0], 3.0), ([5.0], 5.0), ([3.0, 1.0, 2.0], 2.0)]
)
def test_the_pace_of_a_person_is_the_median(seconds: list[float], median: float) -> None:
    assert _pace("ann", DONE, seconds, 0, 0).seconds == median


@given(some.lists(some.floats(0, 1e6), min_size=1))
def test_it_agrees_with_the_definition(seconds: list[float]) -> None:
    assert _pace("ann", DONE, seconds, 0, 0).seconds == statistics.median(seconds)


def test_without_reviews_there_is_no_median() -> None:
    assert _pace("ann", DONE, [], 0, 0).seconds is None


def test_the_middle_pass_of_an_even_number_is_one_of_the_two_in_the_middle() -> None:
    rates = [4.0, 1.0, 3.0, 2.0]
    assert middle([{"per_s": rate} for rate in rates])["per_s"] == 2.0
    assert middle([{"per_s": rate} for rate in rates[:3]])["per_s"] == 3.0


@pytest.mark.django_db
def test_the_page_s_figure_of_two_reviews_lies_between_them() -> None:
    person = make_user()
    for seconds in (10.0, 20.0):
        make_item()
        Review.objects.filter(pk=decide(person).pk).update(seconds=seconds)
    (pace,) = paces(since=timezone.now() - timedelta(days=1))
    assert pace.seconds == 15.0
