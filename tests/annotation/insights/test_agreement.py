"""Agreement between people, scores on hidden gold, and what people do after the reveal."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.insights.agreement import agreement
from annotation.insights.guard import error_kinds
from annotation.insights.hidden_gold import scores_of_people, scores_of_versions
from annotation.insights.reviewers import moves_after_reveal, paces
from annotation.models import HiddenGold, Item, Prediction, Review, User
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.hidden_gold import make_hidden_gold
from annotation.review.reveal import store_first_verdict
from annotation.review.submit import skip, submit_review
from annotation.status import ReviewKind, ReviewMode, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db
SINCE = timezone.now() - timedelta(days=1)
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL


def review(
    person: User, label: Harmfulness, *, categories: tuple[str, ...] = (), first: Harmfulness | None = None
) -> Review:
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    if first is not None:
        store_first_verdict(reviewer=person, token=lease.token, prompt_label=first, response_label=None)
    # the guard of these items says harmful
    kind = ReviewKind.ACCEPTED if label == HARMFUL else ReviewKind.CORRECTED
    return submit_review(
        reviewer=person,
        token=lease.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(kind=kind, prompt_label=label, categories=categories),
    )


def test_agreement_is_of_pairs_of_people_by_task_and_category() -> None:
    default_queue(reviews_per_item=2)
    ann, bob = make_user(), make_user()
    for number in range(4):
        make_item(free_slots=2, priority=-number)
    for label in (HARMFUL, HARMFUL, UNHARMFUL, UNHARMFUL):
        review(ann, label, categories=("S1",) if label == HARMFUL else ())
    for label in (HARMFUL, HARMFUL, UNHARMFUL, HARMFUL):
        review(bob, label, categories=("S1",) if label == HARMFUL else ())
    found = agreement(since=SINCE, category_codes=["S1", "S9"])
    (pair,) = found.by_pair
    assert (pair.items, pair.equal) == (4, 0.75)
    assert pair.kappa == pytest.approx(0.5)
    prompt = found.by_task[0]
    # eight labels, five harmful: 1 − 7·(1 pair of 2)/(64 − 25 − 9)
    assert (prompt.items, prompt.pairs, prompt.equal) == (4, 4, 0.75)
    assert prompt.alpha == pytest.approx(1 - 7 * 2 / 30)
    violence, weapons = found.by_category
    assert violence.equal == 0.75 and weapons.equal == 1.0 and weapons.alpha is None


def test_hidden_gold_scores_people_and_versions() -> None:
    lead, ann = make_user(Role.LEAD), make_user()
    for label in (HARMFUL, UNHARMFUL):
        item = make_item()
        review(lead, label)
        make_hidden_gold(item=Item.objects.get(pk=item.pk), by=lead)
    default_queue(known_share=1.0)
    review(ann, HARMFUL), review(ann, HARMFUL)
    (score,) = scores_of_people(since=SINCE)
    assert (score.name, score.n, score.right, score.missed, score.over_refused) == (ann.username, 2, 1, 0.0, 1.0)
    (version,) = scores_of_versions()  # it calls both harmful
    assert (version.n, version.accuracy, version.over_refused) == (2, 0.5, 1.0)
    Prediction.objects.filter(item=HiddenGold.objects.earliest("id").item).update(prompt_label=None, parsed=False)
    assert scores_of_versions()[0].missed == 1.0


def test_it_is_counted_how_often_people_move_to_the_guards_side() -> None:
    default_queue(mode=ReviewMode.DECIDE_FIRST)
    ann = make_user()
    for number in range(4):
        make_item(priority=-number)
    review(ann, HARMFUL, first=HARMFUL)
    review(ann, HARMFUL, first=UNHARMFUL), review(ann, HARMFUL, first=UNHARMFUL)
    review(ann, UNHARMFUL, first=UNHARMFUL)
    everybody, own = moves_after_reveal(since=SINCE)
    assert (everybody.name, own.name) == ("all", ann.username)
    assert (own.revealed, own.agreed, own.to_guard, own.stayed, own.elsewhere) == (4, 1, 2, 1, 0)
    assert own.share_to_guard == pytest.approx(2 / 3)


def test_paces_count_skips_corrections_and_decisions_that_were_too_fast() -> None:
    ann = make_user()
    default_queue(fewest_seconds=10)
    for _ in range(4):
        make_item()
    review(ann, HARMFUL), review(ann, UNHARMFUL)
    Review.objects.filter(pk=Review.objects.latest("id").pk).update(seconds=30, error_kinds=["misread"])
    lease = assign_next(reviewer=ann, queue=default_queue())
    assert lease is not None
    skip(reviewer=ann, token=lease.token)
    (pace,) = paces(since=SINCE)
    assert (pace.reviews, pace.too_fast, pace.corrected) == (2, 1, 0.5)
    assert pace.skipped == pytest.approx(1 / 3)
    assert error_kinds(since=SINCE) == {"starter": {"misread": 1}}
