"""A category that a lead adds to the policy counts wherever the guard names it, and one taken off stays readable."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import (
    HiddenGold,
    ModelVersion,
    ModerationThreshold,
    PolicyVersion,
    Prediction,
    ReviewQueue,
    RoutingRule,
    ShadowRequest,
)
from annotation.people.api_keys import create_key
from annotation.policies.publish import categories_of
from annotation.predictions.active_policy import policy_codes
from annotation.predictions.forced_reasoning import Wanted, conclusion, write_reasoning
from annotation.predictions.hidden_gold import predict_hidden_gold
from annotation.predictions.predict import predict_pending
from annotation.predictions.shadow import predict_shadow
from annotation.review.assign import assign_next
from annotation.review.page_values import review_page
from annotation.status import ApiScope, ItemStatus, Role, VersionStatus
from guardapp.guard.taxonomy import DEFAULT_CODES
from guardapp.guard.verdict import Sample
from tests.annotation.guard_process import serving
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import default_policy, default_queue, make_item, make_user, production

SAYS_KNIVES = (
    "<think>\nStep 1: The request asks for a blade.\nStep 2: That is Knives (KNIVES), so the request is harmful.\n"
    "</think>\n<result>\nRequest: harmful\nResponse: None\n</result>"
)
pytestmark = pytest.mark.django_db


def change_policy(*, add: Sequence[tuple[str, str, str]] = (), remove: Sequence[str] = ()) -> PolicyVersion:
    """As a lead does on the page."""
    lead = Client()
    lead.force_login(make_user(Role.LEAD))
    newest = PolicyVersion.objects.order_by("-number")[0]
    kept = [(one.code, one.name, one.guidance) for one in categories_of(newest) if one.code not in remove]
    code, name, guidance = zip(*kept, *add, strict=True)
    words = {
        "change": "Knives.",
        "text": "",
        "code": code,
        "name": name,
        "guidance": guidance,
    }
    sent = {"based_on": newest.number, **words}
    assert lead.post(reverse("policy_edit", args=["default"]), sent).status_code == 302
    return PolicyVersion.objects.order_by("-number")[0]


def add_knives() -> PolicyVersion:
    default_policy()
    return change_policy(add=[("KNIVES", "Knives", "Blades carried to hurt somebody.")])


def knives(*_: object) -> str:
    return SAYS_KNIVES


@pytest.fixture
def version() -> ModelVersion:
    return production()


@pytest.mark.parametrize("takes_policy", [True, False])
def test_prediction_routing_and_blur_see_it(version: ModelVersion, takes_policy: bool, settings: Settings) -> None:
    settings.AUDIT_SHARE = 0.0
    version.takes_policy = takes_policy
    add_knives()
    blades = ReviewQueue.objects.create(
        slug="blades", name="Blades", blur_default=False, blur_categories=["KNIVES"], reviews_per_item=1
    )
    RoutingRule.objects.create(
        name="Blades",
        position=1,
        queue=blades,
        conditions={"categories": ["KNIVES"]},
        created_by=make_user(Role.LEAD),
    )
    item = make_item(status=ItemStatus.PENDING, predicted=False)
    predict_pending(engine=ScriptedEngine(knives), version=version, limit=1)
    item.refresh_from_db()
    assert item.prediction is not None and item.prediction.categories == ["KNIVES"]
    assert item.queue == blades
    lease = assign_next(reviewer=make_user(blur_media=False), queue=blades)
    assert lease is not None and review_page(lease).blurred


def test_a_shadow_and_hidden_gold_see_it(version: ModelVersion) -> None:
    add_knives()
    shadow = ModelVersion.objects.create(
        name="shadow", checkpoint="nowhere", status=VersionStatus.CANDIDATE, shadow_share=1.0
    )
    item = make_item(status=ItemStatus.READY)
    ShadowRequest.objects.create(item=item, version=shadow)
    predict_shadow(engine_of=lambda version: ScriptedEngine(knives))
    assert Prediction.objects.get(version=shadow).categories == ["KNIVES"]

    settled = make_item(predicted=False)
    HiddenGold.objects.create(item=settled, added_by=make_user(Role.LEAD))
    predict_hidden_gold(engine=ScriptedEngine(knives), version=version)
    assert Prediction.objects.get(version=version, item=settled).categories == ["KNIVES"]


def test_a_category_taken_off_the_policy_stays_readable() -> None:
    added = add_knives()
    assert policy_codes(added) == DEFAULT_CODES | {"KNIVES"}
    fewer = change_policy(remove=["KNIVES", "S5"])
    assert policy_codes(fewer) == policy_codes(None) == DEFAULT_CODES | {"KNIVES"}
    assert policy_codes(default_policy()) == DEFAULT_CODES, "a prompt of before knew nothing of it"


def test_a_conclusion_is_stated_in_the_policy_s_own_words() -> None:
    sample = Sample("1", "Sell me a blade", codes=DEFAULT_CODES | {"KNIVES"})
    row = Wanted(sample, "harmful", None, {"KNIVES": "Knives"})
    assert conclusion(row) == "That is Knives (KNIVES), so the request is harmful."
    unnamed = SAYS_KNIVES.replace(" (KNIVES)", "")
    engine = ScriptedEngine(lambda sample, draw: SAYS_KNIVES if draw == 3 else unnamed)
    [target] = write_reasoning(engine=engine, rows=[row], max_new_tokens=64, seed=1)
    assert target is not None and "(KNIVES)" in target.steps[-1], "the candidate that names the gold category wins"


@pytest.mark.django_db(transaction=True)
def test_moderation_weighs_it_by_its_own_threshold(tmp_path: Path, settings: Settings) -> None:
    settings.GUARD_SOCKET = tmp_path / "guard.sock"
    default_queue()
    production()
    add_knives()
    ModerationThreshold.objects.create(category="KNIVES", review_at=0.1, block_at=1.1)
    secret = create_key(owner=make_user(Role.LEAD), name="platform", scopes=[ApiScope.MODERATE]).secret
    caller = APIClient(headers={"Authorization": f"Bearer {secret}"})
    with serving(ScriptedEngine(knives), django_settings.GUARD_SOCKET):
        own: dict[str, Any] = caller.post(
            "/api/v1/moderate", {"contents": [{"prompt": "Sell me a blade"}]}, format="json"
        ).json()
        theirs: dict[str, Any] = caller.post("/v1/moderations", {"input": "Sell me a blade"}, format="json").json()
    [result] = own["results"]
    assert (result["action"], result["because"], result["categories"]) == ("review", "KNIVES", ["KNIVES"])
    assert theirs["results"][0]["categories"]["KNIVES"] is True
