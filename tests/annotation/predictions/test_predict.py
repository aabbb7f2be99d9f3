"""Items go to the guard, come back with a prediction, or fail where people see it; none is lost and none is predicted
twice.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from annotation.models import Event, Item, ModelVersion, Prediction
from annotation.predictions.claims import ItemHasNotFailed, claim_pending, give_back, release_stale_claims, retry_failed
from annotation.predictions.predict import predict_pending
from annotation.predictions.turns import Predicted
from annotation.queues.priority import is_audited
from annotation.status import EventKind, ItemStatus, Lane, Role
from guardapp.guard.verdict import Sample
from tests.annotation.scripted_engine import GIBBERISH, HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import make_item, make_user, production

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_audit(settings: Settings) -> None:
    settings.AUDIT_SHARE = 0.0


@pytest.fixture
def version() -> ModelVersion:
    return production()


def pending(count: int = 1, **fields: Any) -> list[Item]:
    return [
        make_item(status=ItemStatus.PENDING, predicted=False, prompt=f"prompt {number}", **fields)
        for number in range(count)
    ]


def predict(engine: ScriptedEngine, version: ModelVersion, limit: int = 32) -> Predicted:
    return predict_pending(engine=engine, version=version, limit=limit)


def run_out(item: Item) -> None:
    """As if the worker had died a while ago."""
    Item.objects.filter(pk=item.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))


def test_a_pending_item_becomes_ready_with_its_judgement_stored(version: ModelVersion) -> None:
    [item] = pending()
    assert predict(ScriptedEngine(), version) == Predicted(claimed=1, count=1, failed=0)
    item.refresh_from_db()
    prediction = item.prediction
    assert prediction is not None
    assert (item.status, item.claim_token, item.claimed_until) == (ItemStatus.READY, None, None)
    assert (prediction.prompt_label, prediction.response_label, prediction.categories) == ("harmful", None, ["S1"])
    assert prediction.steps == [
        "The request asks for a weapon.",
        "That is Violent crimes (S1), so the request is harmful.",
    ]
    assert len(prediction.rollouts) == 4 and prediction.rollouts[0]["prompt_label"] == "harmful"
    assert prediction.version == version and prediction.tokens > 0
    assert list(item.events.values_list("kind", flat=True)) == [EventKind.PREDICTED]


def test_disagreement_is_the_share_of_rollouts_that_say_something_else(version: ModelVersion) -> None:
    def says(sample: Sample, draw: int) -> str:
        return [HARMFUL, HARMFUL, UNHARMFUL, GIBBERISH, HARMFUL][draw]

    [item] = pending()
    predict(ScriptedEngine(says), version)
    item.refresh_from_db()
    assert item.prediction is not None and item.prediction.disagreement == 0.5
    assert item.lane == Lane.UNCERTAIN
    assert [row["parsed"] for row in item.prediction.rollouts] == [True, True, False, True]


def test_a_completion_that_does_not_parse_is_stored_as_data(version: ModelVersion) -> None:
    [item] = pending()
    predict(ScriptedEngine(lambda sample, draw: GIBBERISH), version)
    item.refresh_from_db()
    assert item.prediction is not None
    assert (item.status, item.lane, item.prediction.parsed, item.prediction.completion) == (
        "ready",
        "uncertain",
        False,
        GIBBERISH,
    )


def test_a_sure_item_is_flagged_and_an_unsure_score_makes_it_uncertain(version: ModelVersion) -> None:
    (sure,) = pending()
    predict(ScriptedEngine(), version)
    (unsure,) = pending()
    predict(ScriptedEngine(score=0.6), version)
    sure.refresh_from_db()
    unsure.refresh_from_db()
    assert (sure.lane, unsure.lane) == (Lane.FLAGGED, Lane.UNCERTAIN)
    assert unsure.priority > sure.priority


def test_the_older_of_two_alike_items_is_served_first(version: ModelVersion) -> None:
    young, old = pending(2)
    Item.objects.filter(pk=old.pk).update(reported_at=timezone.now() - timedelta(days=2))
    predict(ScriptedEngine(), version)
    assert list(Item.objects.order_by("-priority")) == [old, young]


def test_the_audit_share_is_sticky_and_of_the_right_size() -> None:
    audited = [number for number in range(10_000) if is_audited(number, 0.05)]
    assert audited == [number for number in range(10_000) if is_audited(number, 0.05)]
    assert 400 < len(audited) < 600
    assert set(audited) <= {number for number in range(10_000) if is_audited(number, 0.10)}


def test_an_audited_item_goes_to_people_as_audit_whatever_the_guard_says(
    version: ModelVersion, settings: Settings
) -> None:
    settings.AUDIT_SHARE = 1.0
    [item] = pending()
    predict(ScriptedEngine(lambda sample, draw: UNHARMFUL), version)
    item.refresh_from_db()
    assert item.lane == Lane.AUDIT


def test_two_workers_never_hold_the_same_item() -> None:
    pending(5)
    first, second = claim_pending(limit=3), claim_pending(limit=3)
    assert (len(first.rows), len(second.rows)) == (3, 2)
    assert not {item.pk for item in first.rows} & {item.pk for item in second.rows}


def test_a_stale_claim_comes_back_and_the_late_answer_is_dropped(version: ModelVersion) -> None:
    [item] = pending()

    def slow(sample: Sample, draw: int) -> str:
        if draw == 0:
            run_out(item)
            assert release_stale_claims() == 1
        return HARMFUL

    assert predict(ScriptedEngine(slow), version).count == 0
    item.refresh_from_db()
    assert (item.status, Prediction.objects.count()) == (ItemStatus.PENDING, 0)
    assert predict(ScriptedEngine(), version).count == 1
    assert Prediction.objects.count() == 1


def test_a_claim_that_has_not_run_out_is_left_alone() -> None:
    pending(2)
    claim_pending(limit=2)
    assert release_stale_claims() == 0


def test_three_dead_workers_make_an_item_visibly_failed() -> None:
    [item] = pending()
    for _ in range(3):
        assert len(claim_pending(limit=8).rows) == 1
        run_out(item)
        release_stale_claims()
    item.refresh_from_db()
    assert (item.status, item.attempts, item.error_code) == (ItemStatus.PREDICTION_FAILED, 3, "worker_died")
    assert "3 times" in item.error_message
    assert item.events.filter(kind=EventKind.PREDICTION_FAILED).count() == 1
    assert claim_pending(limit=8).rows == ()


def test_an_item_that_kills_its_worker_does_not_use_up_its_neighbours_attempts(version: ModelVersion) -> None:
    items = pending(40)
    killer = items[7]
    for _ in range(100):
        claim = claim_pending(limit=32)
        if not claim.rows:
            break
        if killer in claim.rows:  # the worker dies: nothing is given back
            claim.held().update(claimed_until=timezone.now() - timedelta(seconds=1))
            release_stale_claims()
        else:
            claim.held().update(status=ItemStatus.READY, claim_token=None)
    assert list(Item.objects.filter(status=ItemStatus.PREDICTION_FAILED)) == [killer]
    assert Item.objects.filter(status=ItemStatus.READY).count() == 39


def test_a_poison_item_takes_no_neighbour_with_it(version: ModelVersion) -> None:
    pending(6)
    engine = ScriptedEngine(poison=frozenset({"prompt 2"}))
    assert predict(engine, version) == Predicted(claimed=6, count=5, failed=0)
    bad = Item.objects.get(prompt="prompt 2")
    assert (bad.status, bad.attempts, bad.error_code) == (ItemStatus.PENDING, 1, "engine_error")
    predict(engine, version)
    assert predict(engine, version) == Predicted(claimed=1, count=0, failed=1)
    bad.refresh_from_db()
    assert (bad.status, bad.error_message) == (ItemStatus.PREDICTION_FAILED, "EngineError: cannot read prompt 2")


def test_a_failed_item_can_be_sent_back_with_fresh_attempts(version: ModelVersion) -> None:
    [item] = pending()
    for _ in range(3):
        predict(ScriptedEngine(poison=frozenset({item.prompt})), version)
    lead = make_user(Role.LEAD)
    retried = retry_failed(item=item, actor=lead)
    assert (retried.status, retried.attempts, retried.error_code) == (ItemStatus.PENDING, 0, "")
    assert Event.objects.filter(kind=EventKind.RETRIED, actor=lead, item=item).exists()
    assert predict(ScriptedEngine(), version).count == 1
    with pytest.raises(ItemHasNotFailed):
        retry_failed(item=item, actor=lead)


def test_a_version_never_predicts_an_item_twice(version: ModelVersion) -> None:
    [item] = pending()
    predict(ScriptedEngine(), version)
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.PENDING, attempts=0)
    predict(ScriptedEngine(lambda sample, draw: UNHARMFUL), version)
    item.refresh_from_db()
    assert item.prediction is not None and item.prediction.prompt_label == "harmful"
    assert (item.status, Prediction.objects.count()) == (ItemStatus.READY, 1)


def test_giving_back_what_was_lost_changes_nothing() -> None:
    [item] = pending()
    claim = claim_pending(limit=1)
    run_out(item)
    release_stale_claims()
    other = claim_pending(limit=1)
    give_back(claim=claim, failures={})
    item.refresh_from_db()
    assert item.claim_token == other.fence


def test_claims_are_renewed_while_a_large_batch_is_worked_on(version: ModelVersion) -> None:
    items = pending(20)
    ends = []

    def says(sample: Sample, draw: int) -> str:
        if draw == 0:
            ends.append(Item.objects.get(pk=items[-1].pk).claimed_until)
        return HARMFUL

    predict(ScriptedEngine(says), version)
    assert len(set(ends)) == 2  # two micro-batches
    assert max(end for end in ends if end) > min(end for end in ends if end)
