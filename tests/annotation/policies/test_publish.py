"""A policy change makes a new version and casts doubt on the gold of what it changed."""

import uuid
from dataclasses import replace

import pytest

from annotation.models import GoldLabel, Item, PolicyVersion, User
from annotation.policies.publish import (
    CategoryText,
    PolicyChangedMeanwhile,
    PolicyNotValid,
    categories_of,
    changes_between,
    confirm_gold,
    publish_version,
    send_to_review,
    stale_gold,
)
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import ItemStatus, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def judged(category: str, person: User) -> Item:
    item = make_item(prediction={"categories": [category]})
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None
    submit_review(
        reviewer=person,
        token=lease.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL, categories=(category,)),
    )
    return item


def reworded(code: str) -> list[CategoryText]:
    return [
        replace(one, guidance="Another text.") if one.code == code else one for one in categories_of(default_policy())
    ]


def publish(categories: list[CategoryText], *, based_on: int = 1, change: str = "Clearer.") -> PolicyVersion:
    return publish_version(
        policy=default_policy().policy,
        text="Judge calmly.",
        categories=categories,
        change=change,
        by=make_user(Role.LEAD),
        based_on=based_on,
    )


def test_changes_are_found_by_code() -> None:
    old = [CategoryText("S1", "One", "a"), CategoryText("S2", "Two", "b")]
    found = changes_between(old, [CategoryText("S2", "Two", "c"), CategoryText("S3", "Three", "d")])
    assert (found.added, found.removed, found.reworded) == (("S3",), ("S1",), ("S2",))


def test_gold_of_a_reworded_category_becomes_stale_and_no_other() -> None:
    person = make_user()
    hate, violence = judged("S10", person), judged("S1", person)
    version = publish(reworded("S1"))
    assert version.number == 2
    assert [gold.item for gold in stale_gold()] == [violence]
    assert GoldLabel.objects.get(item=hate).stale_at is None


def test_stale_gold_is_reviewed_again_under_the_new_policy_by_the_same_person_if_need_be() -> None:
    person = make_user()
    item = judged("S1", person)
    publish(reworded("S1"))
    gold = stale_gold().get()
    assert send_to_review(gold_ids=[gold.pk], by=make_user(Role.LEAD)) == 1
    assert send_to_review(gold_ids=[gold.pk], by=make_user(Role.LEAD)) == 0
    assert GoldLabel.objects.standing().get() == gold
    lease = assign_next(reviewer=person, queue=default_queue())
    assert lease is not None and lease.item == item
    submit_review(
        reviewer=person,
        token=lease.token,
        idempotency_key=uuid.uuid4().hex,
        decision=Decision(kind=ReviewKind.CORRECTED, prompt_label=Harmfulness.UNHARMFUL),
    )
    fresh = GoldLabel.objects.standing().get()
    assert (fresh.policy_version.number, fresh.stale_at) == (2, None)
    assert Item.objects.get(pk=item.pk).status == ItemStatus.REVIEWED


def test_a_lead_confirms_what_is_still_right() -> None:
    judged("S1", make_user())
    publish(reworded("S1"))
    assert confirm_gold(gold_ids=[stale_gold().get().pk], by=make_user(Role.LEAD)) == 1
    assert not stale_gold().exists()


def test_two_people_cannot_publish_over_each_other() -> None:
    publish(reworded("S1"))
    with pytest.raises(PolicyChangedMeanwhile):
        publish(reworded("S2"), based_on=1)


@pytest.mark.parametrize(
    ("categories", "change", "field"),
    [
        ([CategoryText("S1", "One", "a")], " ", "change"),
        ([], "x", "categories"),
        ([CategoryText("S1", "One", "a"), CategoryText("S1", "Two", "b")], "x", "categories"),
        ([CategoryText("S 1", "One", "a")], "x", "categories"),
        ([CategoryText("S1", "One", " ")], "x", "categories"),
    ],
)
def test_a_policy_that_does_not_fit_names_its_field(categories: list[CategoryText], change: str, field: str) -> None:
    with pytest.raises(PolicyNotValid) as error:
        publish(categories, change=change)
    assert error.value.field == field
