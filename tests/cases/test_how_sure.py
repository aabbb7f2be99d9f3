"""One number for how sure the guard is: the probability of harm, over all completions, calibrated on evaluations."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines
from annotation.models import Item, ModelVersion, ReviewQueue, RoutingRule
from annotation.people.api_keys import create_key
from annotation.predictions.calibration import told
from annotation.predictions.predict import predict_pending
from annotation.queues.conditions import Conditions
from annotation.queues.priority import doubt_of
from annotation.status import ApiScope, ItemStatus, Lane, Role
from guardapp.guard.verdict import Rollout, Sample
from tests.annotation.guard_process import serving
from tests.annotation.scripted_engine import HARMFUL, ScriptedEngine
from tests.cases.sure_guard import Sure, alone_in_its_opinion, calibrate, half_of_it_parses, predicted, review_page_of
from tests.factories import default_policy, default_queue, make_item, make_user, production
from tests.training.rows import make_gold

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(settings: Settings) -> ModelVersion:
    settings.ROLLOUTS, settings.AUDIT_SHARE = 4, 0.0
    default_policy()
    return production()


def test_a_verdict_that_four_of_four_rollouts_contradict_is_shown_at_a_fifth(
    version: ModelVersion, client: Client
) -> None:
    prediction = predicted(version, Sure(alone_in_its_opinion))
    assert (prediction.prompt_label, prediction.prompt_score) == ("harmful", 0.99)
    assert prediction.prompt_marginal == prediction.prompt_harm == pytest.approx((0.99 + 4 * 0.01) / 5)
    page = review_page_of(client)
    assert "probability of harm 0.21" in page and "P(harmful)" not in page
    assert "The verdict on the prompt is harmful, but the probability of harm is 0.21." in page
    assert "0.990" in page and "Mean over 5 completions" in page, "the conditional one is in the details"
    assert "Not calibrated" in page


def test_completions_that_did_not_parse_are_left_out_and_counted(version: ModelVersion, client: Client) -> None:
    prediction = predicted(version, Sure(half_of_it_parses))
    assert prediction.prompt_marginal == pytest.approx((0.99 + 0.99 + 0.01) / 3)
    page = review_page_of(client)
    assert "Mean over 3 completions" in page and "2 more without a label" in page


def test_a_prediction_without_any_probability_stays_a_dash(
    version: ModelVersion, client: Client, settings: Settings
) -> None:
    settings.ROLLOUTS = 0
    prediction = predicted(version, ScriptedEngine(score=None))
    assert (prediction.prompt_marginal, prediction.prompt_harm, prediction.response_harm) == (None, None, None)
    assert "probability of harm" not in review_page_of(client)


def test_the_versions_calibration_is_applied_and_the_prediction_keeps_it(version: ModelVersion, client: Client) -> None:
    first = calibrate(version, sampled=2.0, greedy=4.0)
    before = predicted(version, Sure(alone_in_its_opinion))
    assert before.calibration == first
    assert before.prompt_harm == pytest.approx(1 / (1 + (0.794 / 0.206) ** 0.5), abs=1e-3)
    assert before.prompt_marginal == pytest.approx(0.206)
    page = review_page_of(client)
    assert f"probability of harm {before.prompt_harm:.2f}" in page and "Calibrated: temperature, 400 rows" in page

    calibrate(version, sampled=5.0, greedy=5.0, evaluation=13)
    after = predicted(version, Sure(alone_in_its_opinion))
    before.refresh_from_db()
    assert before.calibration == first and after.calibration != first
    assert after.prompt_harm is not None and before.prompt_harm is not None and after.prompt_harm > before.prompt_harm


def test_the_verdict_is_never_changed_by_the_number(version: ModelVersion) -> None:
    calibrate(version, sampled=50.0, greedy=50.0)
    prediction = predicted(version, Sure(alone_in_its_opinion))
    assert (prediction.prompt_label, prediction.parsed, prediction.categories) == ("harmful", True, ["S1"])


def test_the_response_has_a_number_of_its_own(version: ModelVersion) -> None:
    words = HARMFUL.replace("Response: None", "Response: unharmful")

    class Both(ScriptedEngine):
        def _rollout(self, sample: Sample, completion: str) -> Rollout:
            one = super()._rollout(sample, completion)
            return Rollout(one.completion, one.judgement, one.tokens, True, 0.9, 0.2)

    calibrate(version, sampled=3.0, greedy=3.0)
    prediction = predicted(version, Both(lambda sample, draw: words), response="No.")
    assert prediction.response_marginal == prediction.response_harm == pytest.approx(0.2), "no fit for responses yet"
    assert prediction.prompt_harm is not None and 0.5 < prediction.prompt_harm < 0.9
    assert [told(prediction, side).sure.marginal for side in ("prompt", "response")] == pytest.approx([0.9, 0.2])


def test_routing_lane_and_order_go_by_it(version: ModelVersion) -> None:
    unlikely = ReviewQueue.objects.create(slug="unlikely", name="Unlikely")
    RoutingRule.objects.create(
        name="Unlikely", position=1, queue=unlikely, conditions={"score_to": 0.3}, created_by=make_user(Role.LEAD)
    )
    prediction = predicted(version, Sure(alone_in_its_opinion))
    assert prediction.item.queue == unlikely, "the conditional 0.99 would have kept it out"
    assert doubt_of(prediction) == 1.0 and Item.objects.get().lane == Lane.UNCERTAIN


def test_a_condition_finds_in_the_database_what_it_finds_in_memory(version: ModelVersion) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt_score": 0.99, "prompt_marginal": 0.2, "prompt_harm": 0.25},
        {"prompt_score": 0.99},  # from before marginals were measured
        {"prompt_label": None, "response_score": 0.1, "response_marginal": 0.6, "response_harm": 0.7},
        {"prompt_score": None},
        {"parsed": False, "prompt_label": None, "prompt_marginal": 0.9, "prompt_harm": 0.8},
    ]
    items = [make_item(prediction=row) for row in rows]
    for conditions in (
        Conditions(score_from=0.5),
        Conditions(score_to=0.5),
        Conditions(score_from=0.3, score_to=0.75),
        Conditions(score_from=0.0),
    ):
        found = Item.objects.annotate(**conditions.annotations()).filter(conditions.as_query())
        caught = {item.pk for item in items if conditions.catch(item, item.prediction, "starter")}
        assert set(found.values_list("pk", flat=True)) == caught, conditions
    assert len({item.pk for item in items if Conditions(score_from=0.5).catch(item, item.prediction, "starter")}) == 3


def test_a_prediction_of_before_says_that_its_number_is_conditional(version: ModelVersion, client: Client) -> None:
    make_item(prediction={"prompt_score": 0.97})
    page = review_page_of(client)
    assert "harm 0.97 after its own reasoning" in page and "probability of harm 0.97" not in page


def test_the_item_page_shows_it_too(version: ModelVersion, client: Client) -> None:
    prediction = predicted(version, Sure(alone_in_its_opinion))
    client.force_login(make_user(Role.LEAD))
    page = " ".join(client.get(reverse("item", args=[prediction.item_id])).text.split())
    assert "probability of harm 0.21" in page and "The probability contradicts the verdict." in page


def test_the_api_has_all_three_and_the_calibration(version: ModelVersion) -> None:
    calibration = calibrate(version, sampled=2.0, greedy=4.0)
    prediction = predicted(version, Sure(alone_in_its_opinion))
    secret = create_key(owner=make_user(Role.LEAD), name="reader", scopes=[ApiScope.ITEMS_READ]).secret
    found = APIClient(headers={"Authorization": f"Bearer {secret}"}).get(f"/api/v1/items/{prediction.item_id}").json()
    told = found["prediction"]
    assert (told["prompt_score"], told["calibration"]) == (0.99, calibration.pk)
    assert told["prompt_marginal"] == pytest.approx(0.206) and told["prompt_harm"] == prediction.prompt_harm


@pytest.mark.django_db(transaction=True)
def test_moderation_weighs_the_calibrated_probability(tmp_path: Path, settings: Settings) -> None:
    settings.GUARD_SOCKET = tmp_path / "guard.sock"
    default_policy()
    default_queue()
    version = production()
    secret = create_key(owner=make_user(Role.LEAD), name="platform", scopes=[ApiScope.MODERATE]).secret
    caller = APIClient(headers={"Authorization": f"Bearer {secret}"})

    def ask(**more: Any) -> dict[str, Any]:
        body = {"contents": [{"prompt": "Sell me a blade"}], "open_items": False} | more
        found: dict[str, Any] = caller.post("/api/v1/moderate", body, format="json").json()["results"][0]
        return found

    with serving(Sure(lambda sample, draw: HARMFUL), django_settings.GUARD_SOCKET):
        plain = ask()
        calibration = calibrate(version, sampled=2.0, greedy=4.0)
        greedy, sampled, fast = ask(), ask(rollouts=3), ask(mode="fast")
        theirs = caller.post("/v1/moderations", {"input": "Sell me a blade"}, format="json").json()
    assert (plain["score"], plain["prompt_harm"], plain["calibration"], plain["action"]) == (0.99, 0.99, None, "block")
    assert greedy["score"] == pytest.approx(1 / (1 + (0.01 / 0.99) ** (1 / 4)))
    assert sampled["score"] == pytest.approx(1 / (1 + (0.01 / 0.99) ** (1 / 2)))
    assert greedy["calibration"] == sampled["calibration"] == str(calibration)
    assert greedy["action"] == "review", "0.76 is no 0.9"
    assert greedy["category_scores"]["S1"] == pytest.approx(greedy["score"]) and greedy["prompt_score"] == 0.99
    assert fast["calibration"] is None, "no evaluation measures labels without reasoning"
    assert theirs["results"][0]["category_scores"]["harmful"] == pytest.approx(greedy["score"])


def test_calibration_costs_one_query_a_batch_and_none_a_prediction(
    version: ModelVersion, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    calibrate(version, sampled=2.0, greedy=4.0)
    counts: list[int] = []
    for size in (1, 8):
        for _ in range(size):
            make_item(status=ItemStatus.PENDING, predicted=False)
        with django_assert_max_num_queries(60) as asked:
            predict_pending(engine=Sure(alone_in_its_opinion), version=version, limit=size)
        read = [query["sql"] for query in asked.captured_queries if 'FROM "annotation_calibration"' in query["sql"]]
        counts.append(len(read))
    assert counts == [1, 1]


def test_an_insight_holds_the_number_against_what_people_settled(version: ModelVersion, client: Client) -> None:
    for label, harm in [("harmful", 0.92), ("harmful", 0.97), ("unharmful", 0.95), ("unharmful", 0.12)]:
        make_gold(
            make_user(), label=label, prediction={"prompt_score": 0.5, "prompt_marginal": harm, "prompt_harm": harm}
        )
    client.force_login(make_user(Role.LEAD))
    rows = client.get(reverse("insight_csv", args=["how-sure"])).text.splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["0.1–0.2", "0.9–1.0"]
    assert rows[2].split(",")[3] == "3" and float(rows[2].split(",")[2]) == pytest.approx(2 / 3, abs=1e-3)


def test_canonical_rows_keep_all_three_and_the_calibration(version: ModelVersion, client: Client) -> None:
    calibration = calibrate(version, sampled=2.0, greedy=4.0)
    prediction = predicted(version, Sure(alone_in_its_opinion))
    review_page_of(client)
    lease = Item.objects.get().assignments.get()
    decision = {"idempotency_key": "0123456789abcdef", "prompt_label": "unharmful"}
    client.post(reverse("submit", args=[lease.token]), decision)
    rows = b"".join(export_lines(request=ExportRequest(ExportFormat.CANONICAL, False))).splitlines()
    [told] = [row["model"] for row in map(json.loads, rows) if row.get("model")]
    assert (told["prompt_score"], told["prompt_harm"]) == (0.99, prediction.prompt_harm)
    assert told["prompt_marginal"] == pytest.approx(0.206) and told["calibration"] == str(calibration)
    assert [one["prompt_score"] for one in told["rollouts"]] == [0.01] * 4
