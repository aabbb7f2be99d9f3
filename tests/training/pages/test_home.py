"""The training pages: what leads can do there, and that nobody else can."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import ModelVersion, User
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role, VersionStatus
from tests.factories import make_user, production
from tests.markup import folded
from tests.training.rows import make_candidate, make_evaluation, make_much_gold, make_snapshot
from training.models import DatasetSnapshot, Evaluation, Promotion, TrainingRun
from training.runs.request import request_run
from training.status import RunStatus
from training.versions.promotion import promote

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain_static(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    monkeypatch.setattr("training.pages.refusals.ring", lambda task: True)
    monkeypatch.setattr("training.api.base.ring", lambda task: True)


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def page(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    return make_snapshot(40)


@pytest.fixture
def run(snapshot: DatasetSnapshot, lead: User) -> TrainingRun:
    return request_run(snapshot=snapshot, base_version=production(), requested_by=lead)


@pytest.fixture
def candidate(snapshot: DatasetSnapshot) -> ModelVersion:
    version = make_candidate(production())
    for evaluated, wrong in ((version, 1), (production(), 4)):
        evaluation = make_evaluation(evaluated, snapshot, wrong)
        scores = {
            "f1": 0.8,
            "f1_low": 0.6,
            "f1_high": 0.9,
            "precision": 0.8,
            "recall": 0.8,
            "false_positive_rate": 0.1,
            "parse_failure_rate": 0.0,
            "n": evaluation.rows.count(),
        }
        Evaluation.objects.filter(pk=evaluation.pk).update(result={"tasks": {"prompt_harmfulness": scores}})
    return version


PAGES = ["home", "versions", "recipes"]
ACTIONS = ["retrain", "take_snapshot", "rollback"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_for_a_lead_before_anything_was_trained(page: Client, name: str) -> None:
    assert page.get(reverse(f"training:{name}")).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_closed_to_reviewers(client: Client, name: str) -> None:
    client.force_login(make_user(Role.REVIEWER))
    assert client.get(reverse(f"training:{name}")).status_code == 403


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_closed_to_reviewers(client: Client, name: str) -> None:
    client.force_login(make_user(Role.REVIEWER))
    assert client.post(reverse(f"training:{name}"), {"reason": "Why not."}).status_code == 403


def test_rows_of_training_are_closed_to_reviewers(client: Client, run: TrainingRun, candidate: ModelVersion) -> None:
    client.force_login(make_user(Role.REVIEWER))
    for name in ("run", "run_state", "hazards", "rollouts", "metrics_file", "metrics_csv", "metrics_events"):
        assert client.get(reverse(f"training:{name}", args=[run.pk])).status_code == 403
    for name in ("cancel", "resume", "clone", "clone_pipeline"):
        assert client.post(reverse(f"training:{name}", args=[run.pk])).status_code == 403
    assert client.get(reverse("training:version", args=[candidate.pk])).status_code == 403
    for name in ("promote", "evaluate"):
        assert client.post(reverse(f"training:{name}", args=[candidate.pk]), {"reason": "Why not."}).status_code == 403
    assert client.get(reverse("training:snapshot", args=[run.snapshot_id])).status_code == 403
    assert client.post(reverse("training:train_on", args=[run.snapshot_id])).status_code == 403


def test_a_stranger_is_sent_to_the_login(client: Client) -> None:
    assert client.get(reverse("training:home"))["Location"].startswith("/login/")


def test_retrain_is_one_press(page: Client, lead: User) -> None:
    production()
    make_much_gold(lead, 40)
    answer = page.post(reverse("training:retrain"), {"epochs": "2"})
    run = TrainingRun.objects.get()
    assert answer["Location"] == reverse("training:run", args=[run.pk])
    assert run.config["epochs"] == 2.0 and run.snapshot.counts["train"] > 20
    assert page.get(answer["Location"]).status_code == 200


def test_retrain_without_gold_says_what_to_do(page: Client) -> None:
    production()
    answer = page.post(reverse("training:retrain"), follow=True)
    assert b"Review more items" in answer.content and not DatasetSnapshot.objects.exists()


def test_home_counts_what_no_snapshot_has_taken(page: Client, lead: User, snapshot: DatasetSnapshot) -> None:
    make_much_gold(lead, 3, words="Explain", hard=True)
    gold = page.get(reverse("training:home")).context["gold"]
    assert (gold.new, gold.new_hard, gold.standing) == (3, 3, 43)


def test_a_run_is_cancelled_resumed_and_copied_from_its_page(page: Client, run: TrainingRun) -> None:
    page.post(reverse("training:cancel", args=[run.pk]))
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    page.post(reverse("training:resume", args=[run.pk]))
    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED
    answer = page.post(reverse("training:clone", args=[run.pk]), {"epochs": "1.5"})
    assert TrainingRun.objects.latest("id").config["epochs"] == 1.5
    assert answer["Location"] == reverse("training:run", args=[TrainingRun.objects.latest("id").pk])


def test_the_version_page_shows_both_and_their_flips(page: Client, candidate: ModelVersion) -> None:
    answer = page.get(reverse("training:version", args=[candidate.pk]))
    comparison = answer.context["comparison"]
    assert (comparison.fixed_count, comparison.broken_count) == (3, 0)
    assert comparison.tasks[0].only_candidate == 3 and comparison.tasks[0].difference.difference > 0
    assert b"starter says" in answer.content and b"McNemar" in answer.content


def test_promote_and_roll_back_from_the_pages(page: Client, candidate: ModelVersion, lead: User) -> None:
    before = production()
    page.post(reverse("training:promote", args=[candidate.pk]), {"reason": "Three rows better, none worse."})
    candidate.refresh_from_db()
    assert candidate.status == VersionStatus.PRODUCTION and Promotion.objects.get().approver == lead
    assert page.get(reverse("training:version", args=[candidate.pk])).context["baseline"] == before
    page.post(reverse("training:rollback"), {"reason": "Alarm."})
    before.refresh_from_db()
    assert before.status == VersionStatus.PRODUCTION
    assert b"Alarm." in page.get(reverse("training:versions")).content


def test_a_promotion_without_a_reason_is_refused_in_words(page: Client, candidate: ModelVersion) -> None:
    answer = page.post(reverse("training:promote", args=[candidate.pk]), {"reason": " "}, follow=True)
    assert b"Say in a few words why" in answer.content and not Promotion.objects.exists()


def test_evaluate_asks_for_both_on_the_newest_snapshot(page: Client, snapshot: DatasetSnapshot) -> None:
    version = make_candidate(production())
    page.post(reverse("training:evaluate", args=[version.pk]))
    assert set(Evaluation.objects.values_list("version__name", flat=True)) == {"starter", "candidate"}
    page.post(reverse("training:evaluate", args=[version.pk]))
    assert Evaluation.objects.count() == 2


def test_a_source_named_like_a_method_does_not_break_the_snapshot_page(page: Client, snapshot: DatasetSnapshot) -> None:
    DatasetSnapshot.objects.filter(pk=snapshot.pk).update(counts={**snapshot.counts, "by_source": {"items": 40}})
    shown = folded(page.get(reverse("training:snapshot", args=[snapshot.pk])).text)
    assert "<dt>from items</dt> <dd>40</dd>" in shown


def test_a_rollback_sent_twice_goes_one_step_back(
    page: Client, lead: User, snapshot: DatasetSnapshot, candidate: ModelVersion
) -> None:
    second = make_candidate(candidate, "second")
    make_evaluation(second, snapshot)
    for version in (candidate, second):
        promote(version=version, approver=lead, reason="Better.")
    form = {"reason": "Alarm.", "to": candidate.pk}
    assert f'name="to" value="{candidate.pk}"' in page.get(reverse("training:versions")).text
    for _ in range(2):
        page.post(reverse("training:rollback"), form)
    candidate.refresh_from_db()
    assert candidate.status == VersionStatus.PRODUCTION


def test_the_snapshot_page_shows_counts_and_sum(page: Client, snapshot: DatasetSnapshot) -> None:
    content = page.get(reverse("training:snapshot", args=[snapshot.pk])).content.decode()
    assert snapshot.sha256 in content and f"<dd>{snapshot.counts['train']}</dd>" in content


def test_no_page_has_inline_script_or_style(page: Client, run: TrainingRun, candidate: ModelVersion) -> None:
    addresses = [reverse(f"training:{name}") for name in PAGES] + [
        reverse("training:run", args=[run.pk]),
        reverse("training:version", args=[candidate.pk]),
        reverse("training:snapshot", args=[run.snapshot_id]),
    ]
    for address in addresses:
        content = page.get(address).content.decode()
        assert (
            " style=" not in content
            and "<style" not in content
            and "<script>" not in content
            and " onclick=" not in content
        )


def api(client: Client, owner: User, *scopes: ApiScope) -> Any:
    secret = create_key(owner=owner, name="pipeline", scopes=scopes).secret

    def call(method: str, path: str, body: Any = None) -> Any:
        return client.generic(
            method,
            f"/api/v1/{path}",
            json.dumps(body or {}),
            content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {secret}",
        )

    return call


def test_the_api_takes_a_snapshot_trains_and_cancels(client: Client, lead: User) -> None:
    production()
    make_much_gold(lead, 40)
    call = api(client, lead, ApiScope.TRAIN)
    made = call("POST", "snapshots", {"name": "first"})
    assert made.status_code == 201 and len(made.json()["sha256"]) == 64
    run = call("POST", "runs", {"snapshot": made.json()["id"], "settings": {"epochs": 1}})
    assert run.status_code == 202 and run.json()["settings"]["epochs"] == 1.0
    assert call("GET", f"runs/{run.json()['id']}").json()["status"] == "queued"
    assert call("POST", f"runs/{run.json()['id']}/cancel").json()["status"] == "cancelled"
    assert call("POST", f"runs/{run.json()['id']}/cancel").status_code == 409
    assert call("POST", "runs", {"settings": {"epoch": 1}}).status_code == 422
    assert call("POST", "runs", {"recipe": "none"}).status_code == 422
    assert call("POST", "runs", {"snapshot": 999}).status_code == 404


def test_the_api_promotes_in_the_name_of_the_keys_owner(client: Client, lead: User, candidate: ModelVersion) -> None:
    call = api(client, lead, ApiScope.TRAIN)
    made = call("POST", f"versions/{candidate.pk}/promote", {"reason": "Better."})
    assert made.status_code == 200 and made.json()["approver"] == lead.username
    assert call("POST", f"versions/{candidate.pk}/promote", {"reason": "Again."}).status_code == 409


def test_the_api_of_training_needs_its_scope(client: Client, lead: User, run: TrainingRun) -> None:
    call = api(client, lead, ApiScope.ITEMS_READ, ApiScope.EXPORT)
    for method, path in (
        ("POST", "snapshots"),
        ("POST", "runs"),
        ("GET", f"runs/{run.pk}"),
        ("POST", f"runs/{run.pk}/cancel"),
        ("POST", "versions/1/promote"),
    ):
        assert call(method, path).status_code == 403
