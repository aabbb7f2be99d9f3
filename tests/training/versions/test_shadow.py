"""Shadow mode: silent, sticky, after production, never twice, and only its disagreements are seen."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from annotation.models import Event, Item, ModelVersion, Prediction, ShadowRequest, User
from annotation.predictions import loaded_engine
from annotation.predictions.predict import predict_pending
from annotation.predictions.shadow import SHADOW_BATCH, Shadowed, predict_shadow, shadow_wanted
from annotation.predictions.shadow_requests import claim_shadow, is_shadowed
from annotation.status import EventKind, ItemStatus, Role, VersionStatus
from annotation.tasks import predict, shadow
from guardapp.guard.verdict import Sample
from tests.annotation.scripted_engine import HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import make_item, make_user, production
from tests.training.rows import make_candidate
from training.errors import AlreadyProduction, NotALead, ShareNotUsable
from training.versions.shadow import start_shadow, stop_shadow
from training.versions.shadow_values import has_shadowed, shadow_summary

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def candidate() -> ModelVersion:
    return make_candidate(production())


def arrive(count: int = 1, **fields: Any) -> list[Item]:
    """New items, predicted by production: all harmful."""
    items = [
        make_item(status=ItemStatus.PENDING, predicted=False, prompt=f"live {number}", **fields)
        for number in range(count)
    ]
    predict_pending(engine=ScriptedEngine(), version=production(), limit=100)
    return items


def follow(engine: ScriptedEngine) -> int:
    """Let the shadow version work until it has nothing to do; how many predictions that made."""
    made = 0
    while (done := predict_shadow(engine_of=lambda version: engine)).claimed:
        made += done.count
    return made


def says_unharmful(sample: Sample, draw: int) -> str:
    return UNHARMFUL


def test_a_shadow_predicts_silently_what_production_has_predicted(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    [item] = arrive()
    events = item.events.count()
    assert follow(ScriptedEngine(says_unharmful)) == 1
    item.refresh_from_db()
    assert item.prediction is not None and item.prediction.version == production()
    silent = Prediction.objects.get(version=candidate)
    assert (silent.shadow, silent.prompt_label, silent.rollouts) == (True, "unharmful", [])
    assert item.status == ItemStatus.READY and item.events.count() == events
    assert not ShadowRequest.objects.exists() and not shadow_wanted()


def test_nothing_is_requested_where_no_version_shadows(candidate: ModelVersion) -> None:
    make_item(status=ItemStatus.PENDING, predicted=False)
    with CaptureQueriesContext(connection) as queries:
        predict_pending(engine=ScriptedEngine(), version=production(), limit=10)
    assert not ShadowRequest.objects.exists()
    assert sum('"shadow_share" > ' in query["sql"] for query in queries) == 1
    assert not any("shadowrequest" in query["sql"] for query in queries)
    assert predict_shadow(engine_of=lambda version: pytest.fail("no engine is loaded")) == Shadowed()


def test_items_of_before_are_left_alone(candidate: ModelVersion, lead: User) -> None:
    arrive(3)
    start_shadow(version=candidate, share=1.0, by=lead)
    assert not shadow_wanted()


def test_the_share_is_sticky_of_the_right_size_and_each_version_draws_its_own() -> None:
    tenth = {number for number in range(10_000) if is_shadowed(7, number, 0.1)}
    assert tenth == {number for number in range(10_000) if is_shadowed(7, number, 0.1)}
    assert 900 < len(tenth) < 1_100
    assert tenth <= {number for number in range(10_000) if is_shadowed(7, number, 0.3)}
    assert tenth != {number for number in range(10_000) if is_shadowed(8, number, 0.1)}
    assert not any(is_shadowed(7, number, 0.0) for number in range(1_000)) and all(
        is_shadowed(7, n, 1.0) for n in range(1_000)
    )


def test_only_its_share_is_requested(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=0.5, by=lead)
    items = arrive(40)
    expected = {item.pk for item in items if is_shadowed(candidate.pk, item.pk, 0.5)}
    assert set(ShadowRequest.objects.values_list("item_id", flat=True)) == expected and 5 < len(expected) < 35


def test_it_waits_while_an_item_waits_for_production(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(2)
    late = make_item(status=ItemStatus.PENDING, predicted=False)
    assert follow(ScriptedEngine()) == 0
    Item.objects.filter(pk=late.pk).update(status=ItemStatus.READY)
    assert follow(ScriptedEngine()) == 2


def test_it_works_a_few_items_at_a_time(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(SHADOW_BATCH + 3)
    engine = ScriptedEngine()
    assert predict_shadow(engine_of=lambda version: engine) == Shadowed(SHADOW_BATCH, SHADOW_BATCH)
    assert shadow_wanted()


def test_a_worker_that_dies_leaves_its_items_to_the_next_and_none_is_predicted_twice(
    candidate: ModelVersion, lead: User
) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(3)
    dead = claim_shadow(version=candidate, limit=3)
    assert len(dead.rows) == 3 and not shadow_wanted()  # held
    ShadowRequest.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert follow(ScriptedEngine()) == 3
    assert not dead.held().exists() and Prediction.objects.filter(version=candidate).count() == 3


def test_a_late_answer_of_a_lost_claim_is_dropped(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive()

    def slow(sample: Sample, draw: int) -> str:
        ShadowRequest.objects.update(claim_token=None, claimed_until=None)
        return HARMFUL

    assert predict_shadow(engine_of=lambda version: ScriptedEngine(slow)) == Shadowed(1, 0)
    assert not Prediction.objects.filter(version=candidate).exists() and shadow_wanted()


def test_a_poison_item_takes_no_neighbour_with_it_and_rests_after_three_attempts(
    candidate: ModelVersion, lead: User
) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(3)
    assert follow(ScriptedEngine(poison=frozenset({"live 1"}))) == 2
    worn = ShadowRequest.objects.get()
    assert (worn.item.prompt, worn.attempts, worn.error) == ("live 1", 3, "EngineError: cannot read live 1")
    assert shadow_summary(candidate).worn_out == 1 and not shadow_wanted()


def test_an_item_that_kills_its_worker_rests_and_says_so(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(2)
    for _ in range(10):
        claim_shadow(version=candidate, limit=2)
        ShadowRequest.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert not shadow_wanted()
    assert set(ShadowRequest.objects.values_list("attempts", "error")) == {(3, "The worker stopped or stalled on it.")}


def test_an_item_that_comes_back_is_requested_once(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    [item] = arrive()
    for _ in range(2):
        Item.objects.filter(pk=item.pk).update(status=ItemStatus.PENDING)
        predict_pending(engine=ScriptedEngine(), version=production(), limit=1)
    assert ShadowRequest.objects.count() == 1
    follow(ScriptedEngine())
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.PENDING)
    predict_pending(engine=ScriptedEngine(), version=production(), limit=1)
    assert follow(ScriptedEngine()) == 0 and Prediction.objects.filter(version=candidate).count() == 1


def test_a_shadow_that_is_promoted_predicts_its_items_anew_with_rollouts(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    [item] = arrive()
    follow(ScriptedEngine())
    ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(status=VersionStatus.RETIRED)
    ModelVersion.objects.filter(pk=candidate.pk).update(status=VersionStatus.PRODUCTION, shadow_share=0)
    Item.objects.filter(pk=item.pk).update(status=ItemStatus.PENDING)
    predict_pending(engine=ScriptedEngine(), version=candidate, limit=1)
    item.refresh_from_db()
    assert item.prediction is not None and item.prediction.version == candidate
    assert not item.prediction.shadow and len(item.prediction.rollouts) == 4


def test_one_version_shadows_at_a_time(candidate: ModelVersion, lead: User) -> None:
    other = make_candidate(production(), "other")
    start_shadow(version=candidate, share=0.2, by=lead)
    arrive(1)
    start_shadow(version=other, share=1.0, by=lead)
    candidate.refresh_from_db()
    assert candidate.shadow_share == 0 and not ShadowRequest.objects.exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=candidate.pk).update(shadow_share=0.1)


def test_stopping_keeps_predictions_and_drops_requests(candidate: ModelVersion, lead: User) -> None:
    start_shadow(version=candidate, share=1.0, by=lead)
    arrive(SHADOW_BATCH + 1)
    predict_shadow(engine_of=lambda version: ScriptedEngine())
    stop_shadow(version=candidate, by=lead)
    stop_shadow(version=candidate, by=lead)
    assert not ShadowRequest.objects.exists() and shadow_summary(candidate).compared == SHADOW_BATCH
    assert has_shadowed(candidate)
    shares = [event.detail["share"] for event in Event.objects.filter(kind=EventKind.SHADOWING).order_by("id")]
    assert shares == [1.0, 0.0]


def test_production_does_not_shadow_itself(lead: User) -> None:
    with pytest.raises(AlreadyProduction):
        start_shadow(version=production(), share=0.1, by=lead)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(candidate: ModelVersion, lead: User, share: float) -> None:
    with pytest.raises(ShareNotUsable):
        start_shadow(version=candidate, share=share, by=lead)


def test_reviewers_do_not_start_or_stop_it(candidate: ModelVersion) -> None:
    reviewer = make_user(Role.REVIEWER)
    with pytest.raises(NotALead):
        start_shadow(version=candidate, share=0.1, by=reviewer)
    with pytest.raises(NotALead):
        stop_shadow(version=candidate, by=reviewer)


def test_the_worker_keeps_both_engines_and_gives_the_shadow_back(
    candidate: ModelVersion, lead: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    loads: list[str] = []
    rung: list[str] = []

    def load(checkpoint: str) -> ScriptedEngine:
        loads.append(checkpoint)
        return ScriptedEngine(name=checkpoint)

    for name, value in (("_load", load), ("_loaded", None), ("_shadow", None)):
        monkeypatch.setattr(loaded_engine, name, value)
    monkeypatch.setattr("annotation.tasks.ring", lambda task, countdown=0: rung.append(task.name.rpartition(".")[2]))
    production("first")
    ModelVersion.objects.filter(pk=candidate.pk).update(checkpoint="second")
    start_shadow(version=candidate, share=1.0, by=lead)
    for _ in range(2):
        make_item(status=ItemStatus.PENDING, predicted=False)
        predict()
        predict()
        shadow()
    assert loads == [production().checkpoint, "second"]
    assert rung == ["predict", "shadow", "shadow"] * 2
    stop_shadow(version=candidate, by=lead)
    predict()
    assert loaded_engine._shadow is None
