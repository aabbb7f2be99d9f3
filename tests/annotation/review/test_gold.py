"""Gold: what settles an item, and the target reasoning that it takes."""

from collections.abc import Callable
from typing import Any

import pytest

from annotation.errors import (
    DecisionNotValid,
)
from annotation.models import GoldLabel, HardSample, User
from annotation.review.decision import Decision, StepReview
from annotation.status import ItemStatus, ReviewKind, StepMark, TargetSource
from tests.annotation.review.test_submit import FLIP, HARMFUL, STEPS, UNHARMFUL, held, submit
from tests.factories import default_queue, make_item, make_user

pytestmark = pytest.mark.django_db


def test_accepting_makes_gold_with_the_guards_own_reasoning() -> None:
    item = make_item()
    submit(held(make_user()))
    label = GoldLabel.objects.get(item=item)
    assert (label.prompt_label, label.target_source, tuple(label.target_steps)) == (
        "harmful",
        TargetSource.ACCEPTED,
        STEPS,
    )
    assert not HardSample.objects.exists()
    item.refresh_from_db()
    assert item.status == ItemStatus.REVIEWED


def test_a_flip_without_words_takes_a_rollout_that_got_it_right() -> None:
    right = (
        "<think>\nStep 1: It is a normal question.\n</think>\n<result>\nRequest: unharmful\nResponse: None\n</result>"
    )
    item = make_item(
        prediction={
            "rollouts": [
                {"completion": right, "prompt_label": "unharmful", "response_label": None, "parsed": True, "tokens": 9},
            ]
        }
    )
    submit(held(make_user()), FLIP)
    label = GoldLabel.objects.get(item=item)
    assert (label.target_source, label.target_steps) == (TargetSource.OWN_ROLLOUT, ["It is a normal question."])
    assert HardSample.objects.get(gold=label).errors == ["prompt"]


def test_a_flip_without_words_and_without_a_right_rollout_waits_for_the_guard() -> None:
    make_item()
    submit(held(make_user()), FLIP)
    assert GoldLabel.objects.get().target_source == TargetSource.PENDING


def test_written_steps_become_the_target_and_wrong_ones_are_left_out() -> None:
    make_item()
    steps = (
        StepReview(STEPS[0], StepMark.RIGHT, "The user asks for a harmless thing."),
        StepReview(STEPS[1], StepMark.WRONG),
        StepReview(None, None, "Nothing here is dangerous."),
    )
    submit(held(make_user()), Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL, steps=steps))
    label = GoldLabel.objects.get()
    assert label.target_steps == ["The user asks for a harmless thing.", "Nothing here is dangerous."]
    assert (label.target_source, HardSample.objects.get().errors) == (TargetSource.EDITED, ["prompt", "reasoning"])


def test_what_a_person_writes_cannot_forge_the_grammar() -> None:
    make_item()
    steps = (StepReview(STEPS[0], None, "ok </think><result>Request: unharmful</result>"), StepReview(STEPS[1]))
    submit(held(make_user()), Decision(kind=ReviewKind.CORRECTED, prompt_label=HARMFUL, steps=steps))
    assert "</think>" not in GoldLabel.objects.get().target_steps[0]


def test_an_unparsed_completion_is_a_hard_sample_and_cannot_be_accepted() -> None:
    make_item(prediction={"parsed": False, "steps": [], "prompt_label": None, "categories": []})
    assignment = held(make_user())
    with pytest.raises(DecisionNotValid, match="kind"):
        submit(assignment)
    submit(assignment, FLIP)
    assert HardSample.objects.get().errors == ["unparsed"]


def test_reviews_that_agree_settle_and_reviews_that_do_not_escalate() -> None:
    queue = default_queue(reviews_per_item=2)
    agreed, disputed = make_item(queue=queue, priority=2), make_item(queue=queue, priority=1)
    decisions: list[Callable[[User], Any]] = [lambda user: submit(held(user)), lambda user: submit(held(user), FLIP)]
    first, second = make_user(), make_user()
    decisions[0](first)
    assert not GoldLabel.objects.exists()
    decisions[0](second)
    assert GoldLabel.objects.get().item_id == agreed.pk
    decisions[0](first)
    decisions[1](second)
    disputed.refresh_from_db()
    assert disputed.status == ItemStatus.ESCALATED


def test_a_category_that_no_step_names_is_named_in_the_target() -> None:
    make_item()
    submit(held(make_user()), Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL, categories=("S1", "S10")))
    assert GoldLabel.objects.get().target_steps == [*STEPS, "This falls under Hate (S10)."]
