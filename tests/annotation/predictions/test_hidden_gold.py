"""The version that serves judges the hidden gold by itself."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.insights.hidden_gold import score_of_serving
from annotation.models import HiddenGold, Item, ModelVersion, Prediction, ShadowRequest
from annotation.predictions import loaded_engine
from annotation.predictions.hidden_gold import predict_hidden_gold
from annotation.predictions.production import production_version
from annotation.predictions.shadow import SHADOW_BATCH, Shadowed
from annotation.review.hidden_gold import retire_hidden_gold
from annotation.status import ItemStatus, Role, VersionStatus
from annotation.tasks import predict
from guardapp.guard.verdict import Sample
from tests.annotation.scripted_engine import HARMFUL, UNHARMFUL, ScriptedEngine
from tests.factories import make_item, make_user

pytestmark = pytest.mark.django_db


def make_hidden(prompt: str, label: str, *, predicted: bool = False) -> HiddenGold:
    item = make_item(prompt=prompt, status=ItemStatus.REVIEWED, free_slots=0, predicted=predicted)
    return HiddenGold.objects.create(item=item, prompt_label=label)


def promoted(name: str = "next") -> ModelVersion:
    ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(status=VersionStatus.RETIRED)
    return ModelVersion.objects.create(name=name, checkpoint="nowhere", status=VersionStatus.PRODUCTION)


def by_word(sample: Sample, draw: int) -> str:
    return HARMFUL if "bomb" in sample.prompt else UNHARMFUL


def work(version: ModelVersion, engine: ScriptedEngine) -> int:
    made = 0
    while (done := predict_hidden_gold(engine=engine, version=version)).claimed:
        made += done.count
    return made


def test_a_newly_promoted_version_judges_the_hidden_gold_once_and_changes_no_item() -> None:
    rows = [
        make_hidden("a bomb", "harmful"),
        make_hidden("a cake", "unharmful"),
        make_hidden("a bomb cake", "unharmful", predicted=True),
    ]
    before = list(Item.objects.order_by("id").values())
    version, engine = promoted(), ScriptedEngine(by_word)
    assert score_of_serving() is None
    assert work(version, engine) == len(rows)
    assert work(version, engine) == 0  # nothing twice
    assert sorted(prompt for call in engine.asked for prompt in call) == ["a bomb", "a bomb cake", "a cake"]
    assert list(Item.objects.order_by("id").values()) == before
    assert not ShadowRequest.objects.exists()
    assert set(Prediction.objects.filter(version=version).values_list("shadow", flat=True)) == {False}
    score = score_of_serving()
    assert score is not None
    assert (score.n, score.right, score.missed, score.over_refused) == (3, 2, 0.0, 0.5)


def test_what_the_version_has_judged_before_and_what_is_retired_is_not_requested() -> None:
    judged, retired = make_hidden("a cake", "unharmful", predicted=True), make_hidden("a tart", "unharmful")
    retire_hidden_gold(hidden_gold=retired)
    Prediction.objects.filter(item=judged.item).update(version=promoted())
    assert predict_hidden_gold(engine=ScriptedEngine(), version=production_version()) == Shadowed()


def test_an_item_that_becomes_hidden_gold_later_is_judged_too() -> None:
    make_hidden("a cake", "unharmful")
    version = promoted()
    assert work(version, ScriptedEngine()) == 1
    make_hidden("a tart", "unharmful")
    assert work(version, ScriptedEngine()) == 1


def test_it_waits_for_every_item_that_waits_and_takes_a_few_at_a_time() -> None:
    for number in range(SHADOW_BATCH + 1):
        make_hidden(f"cake {number}", "unharmful")
    version = promoted()
    waiting = make_item(status=ItemStatus.PENDING, predicted=False)
    assert predict_hidden_gold(engine=ScriptedEngine(), version=version) == Shadowed()
    Item.objects.filter(pk=waiting.pk).update(status=ItemStatus.READY)
    assert predict_hidden_gold(engine=ScriptedEngine(), version=version) == Shadowed(SHADOW_BATCH, SHADOW_BATCH)


def test_a_worker_that_dies_leaves_it_to_the_next_and_a_poison_item_rests() -> None:
    make_hidden("a cake", "unharmful"), make_hidden("poison", "harmful")
    version = promoted()

    class Killed(BaseException):
        pass

    def dies(sample: Sample, draw: int) -> str:
        raise Killed

    with pytest.raises(Killed):
        predict_hidden_gold(engine=ScriptedEngine(dies), version=version)
    assert predict_hidden_gold(engine=ScriptedEngine(), version=version) == Shadowed()  # still held
    ShadowRequest.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert work(version, ScriptedEngine(poison=frozenset({"poison"}))) == 1
    assert ShadowRequest.objects.get().attempts == 3


def test_the_bell_of_items_gives_hidden_gold_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    make_hidden("a cake", "unharmful")
    version, engine = promoted(), ScriptedEngine()
    make_item(prompt="live", status=ItemStatus.PENDING, predicted=False)
    monkeypatch.setattr(loaded_engine, "_loaded", loaded_engine._Loaded(version.pk, engine))
    rung: list[int] = []
    monkeypatch.setattr("annotation.tasks.ring", lambda task, countdown: rung.append(countdown))
    for _ in range(3):
        predict()
    assert engine.asked == [["live"], ["a cake"]]
    assert rung == [0, 0]  # the third look found nothing


def test_leads_see_the_serving_guard_beside_the_reviewers(client: Client) -> None:
    make_hidden("a cake", "harmful")
    client.force_login(make_user(Role.LEAD))
    version = promoted("r12")
    assert "has judged none" in client.get(reverse("known")).text
    work(version, ScriptedEngine())
    assert "r12, has judged 1 of 1" in client.get(reverse("known")).text
    table = client.get(reverse("insight_csv", args=["people-on-known"])).text.splitlines()
    assert table[1].startswith('"r12, the guard that serves",1.0,0.0')
    client.force_login(make_user())
    assert client.get(reverse("known")).status_code == 403
