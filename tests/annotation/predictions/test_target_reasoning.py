"""Where a person corrected a verdict and wrote no reasoning, the guard writes it, and it is marked whose it is."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Assignment, GoldLabel, Item, ModelVersion, Review
from annotation.predictions.target_reasoning import Completed, complete_targets, reasoning_from_rollouts
from annotation.status import ItemStatus, TargetSource
from guardapp.guard.verdict import Sample
from tests.annotation.scripted_engine import GIBBERISH, HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import default_policy, make_item, make_user, production

pytestmark = pytest.mark.django_db
SEEN = ["The request asks for bread.", "That is Violent crimes (S1), so the request is harmful."]
CLOSE = "</think>\n<result>\nRequest: {}\nResponse: None\n</result>"


@pytest.fixture
def version() -> ModelVersion:
    return production()


def corrected(label: str = "unharmful", *, wrong: str | None = None, categories: tuple[str, ...] = ()) -> GoldLabel:
    """Gold that flips the guard's verdict; `wrong` is a step that the reviewer marked so."""
    item: Item = make_item(status=ItemStatus.REVIEWED, prediction={"steps": SEEN, "prompt_label": "harmful"})
    reviewer, now = make_user(), timezone.now()
    assignment = Assignment.objects.create(item=item, queue=item.queue, reviewer=reviewer, expires_at=now)
    review = Review.objects.create(
        item=item,
        prediction=item.prediction,
        reviewer=reviewer,
        assignment=assignment,
        idempotency_key=str(item.pk),
        kind="corrected",
        prompt_label=label,
        categories=list(categories),
        mode="open",
        lane="flagged",
        seconds=1.0,
        policy_version=default_policy(),
        steps=[{"text": text, "mark": "wrong" if text == wrong else None, "edit": None} for text in SEEN],
    )
    return GoldLabel.objects.create(
        item=item,
        review=review,
        prediction=item.prediction,
        prompt_label=label,
        categories=list(categories),
        source="consensus",
        policy_version=review.policy_version,
        target_source=TargetSource.PENDING,
        settled_at=now,
    )


def complete(engine: ScriptedEngine, version: ModelVersion) -> Completed:
    return complete_targets(engine=engine, version=version, limit=32)


def row(completion: str, label: str | None, parsed: bool = True) -> dict[str, object]:
    return {"completion": completion, "prompt_label": label, "response_label": None, "parsed": parsed, "tokens": 9}


def test_a_stored_rollout_that_was_right_gives_its_reasoning() -> None:
    rollouts = [row(GIBBERISH, None, False), row(HARMFUL, "harmful"), row(UNHARMFUL, "unharmful")]
    prediction = make_item(prediction={"rollouts": rollouts}).prediction
    assert prediction is not None
    assert reasoning_from_rollouts(prediction, ("unharmful", None)) == (
        "The request asks for bread.",
        "No category applies, so the request is unharmful.",
    )
    assert reasoning_from_rollouts(prediction, ("unharmful", "harmful")) is None


def test_a_fresh_rollout_that_is_right_is_the_guards_own(version: ModelVersion) -> None:
    gold = corrected()
    engine = ScriptedEngine(lambda sample, draw: UNHARMFUL if draw == 5 else HARMFUL)
    assert complete(engine, version) == Completed(claimed=1, completed=1)
    gold.refresh_from_db()
    assert gold.target_source == TargetSource.OWN_ROLLOUT
    assert gold.target_steps == ["The request asks for bread.", "No category applies, so the request is unharmful."]
    assert gold.target_claimed_until is None and engine.prefixes == []


def test_of_several_right_rollouts_the_one_that_names_the_gold_categories_wins(version: ModelVersion) -> None:
    gold = corrected("harmful", categories=("S10",))
    hate = HARMFUL.replace("Violent crimes (S1)", "Hate (S10)")
    complete(ScriptedEngine(lambda sample, draw: hate if draw == 4 else HARMFUL), version)
    gold.refresh_from_db()
    assert gold.target_steps[1] == "That is Hate (S10), so the request is harmful."


def test_a_stated_conclusion_makes_the_guard_find_grounds_and_is_left_out_of_them(version: ModelVersion) -> None:
    gold = corrected()

    def goes_on(sample: Sample, prefix: str) -> str:
        assert prefix == "<think>\nStep 1: No category applies, so the request is unharmful.\nStep 2:"
        return " The request is about baking.\n" + CLOSE.format("unharmful")

    complete(ScriptedEngine(goes_on=goes_on), version)
    gold.refresh_from_db()
    assert (gold.target_source, gold.target_steps) == (TargetSource.FORCED_LABEL, ["The request is about baking."])


def test_a_continuation_that_argues_for_the_other_label_is_not_used(version: ModelVersion) -> None:
    gold = corrected()

    def goes_on(sample: Sample, prefix: str) -> str:
        contrary = " So the request is harmful.\n" if prefix.endswith("Step 2:") else ""
        return contrary + CLOSE.format("unharmful")

    complete(ScriptedEngine(goes_on=goes_on), version)
    gold.refresh_from_db()
    assert gold.target_source == TargetSource.FORCED_LABEL
    assert gold.target_steps == ["The request asks for bread.", "No category applies, so the request is unharmful."]


def test_a_step_that_the_reviewer_marked_wrong_never_becomes_a_target(version: ModelVersion) -> None:
    gold = corrected(wrong="The request asks for bread.")
    complete(ScriptedEngine(lambda sample, draw: UNHARMFUL), version)
    gold.refresh_from_db()
    assert (gold.target_source, gold.target_steps, gold.target_attempts) == (TargetSource.PENDING, [], 1)


def test_after_three_attempts_a_target_is_unavailable(version: ModelVersion) -> None:
    gold = corrected()
    engine = ScriptedEngine(lambda sample, draw: GIBBERISH)
    assert [complete(engine, version).unavailable for _ in range(3)] == [0, 0, 1]
    gold.refresh_from_db()
    assert gold.target_source == TargetSource.UNAVAILABLE
    assert complete(engine, version) == Completed()


def test_a_row_over_which_the_engine_fails_takes_no_neighbour_with_it(version: ModelVersion) -> None:
    good, bad = corrected(), corrected()
    engine = ScriptedEngine(lambda sample, draw: UNHARMFUL, poison=frozenset({bad.item.prompt}))
    assert complete(engine, version).completed == 1
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.target_source, bad.target_source) == (TargetSource.OWN_ROLLOUT, TargetSource.PENDING)


def test_a_row_that_a_worker_holds_or_that_was_withdrawn_is_left_alone(version: ModelVersion) -> None:
    held, withdrawn = corrected(), corrected()
    GoldLabel.objects.filter(pk=held.pk).update(target_claimed_until=timezone.now() + timedelta(seconds=60))
    GoldLabel.objects.filter(pk=withdrawn.pk).update(withdrawn_at=timezone.now())
    assert complete(ScriptedEngine(), version).claimed == 0


def test_an_answer_that_comes_after_the_withdrawal_is_dropped(version: ModelVersion) -> None:
    gold = corrected()

    def says(sample: Sample, draw: int) -> str:
        GoldLabel.objects.filter(pk=gold.pk).update(withdrawn_at=timezone.now())
        return UNHARMFUL

    assert complete(ScriptedEngine(says), version).completed == 0
    gold.refresh_from_db()
    assert gold.target_steps == []
