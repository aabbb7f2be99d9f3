"""The recipe page: every field editable, as a form and as TOML, planned before it is started, started once."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import User
from annotation.status import Role
from tests.factories import make_user, production
from tests.markup import folded
from tests.training.rows import make_snapshot
from training.models import DatasetSnapshot, Pipeline, TrainingRun
from training.status import RunKind, RunStatus

pytestmark = pytest.mark.django_db
EDIT = "/training/recipes/edit/"


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pages.refusals.ring", lambda task: True)


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


def sent(snapshot: DatasetSnapshot, **fields: Any) -> dict[str, Any]:
    return {
        "mode": "form",
        "preset": "starter-sft",
        "kinds": "sft mine grpo dpo",
        "what": "pipeline",
        "snapshot": snapshot.pk,
        "base": production().pk,
        "processes": 1,
        "strategy": "none",
        "key": "one",
        **fields,
    }


def test_reviewers_may_not_edit_or_start(client: Client, snapshot: DatasetSnapshot) -> None:
    client.force_login(make_user(Role.REVIEWER))
    assert client.get(EDIT).status_code == 403 and client.post(EDIT, sent(snapshot, do="start")).status_code == 403
    assert not TrainingRun.objects.exists()


@pytest.mark.parametrize("stage", ["sft", "mine", "grpo", "dpo", "nonsense"])
def test_presets_stand_side_by_side_for_each_stage(page: Client, stage: str) -> None:
    content = page.get(reverse("training:recipes"), {"stage": stage}).text
    assert "GuardReasoner" in content and "?preset=" in content


@pytest.mark.parametrize("preset", ["starter-sft", "omni-v1", "omni-v2", "vl", "vl-eco", "hs-dpo", "nonsense"])
def test_every_preset_opens_with_its_values_and_sources(page: Client, preset: str, snapshot: DatasetSnapshot) -> None:
    content = page.get(EDIT, {"preset": preset}).text
    assert "completions per row" in content and ("GuardReasoner" in content or "ours, for two CPU cores" in content)
    assert "<script>" not in content and " style=" not in content


def test_a_wrong_value_is_refused_at_its_field_and_kept(page: Client, snapshot: DatasetSnapshot) -> None:
    answer = page.post(EDIT, sent(snapshot, do="start", **{"grpo-clip_low": "wide", "sft-epochs": "2"}))
    assert answer.status_code == 422 and not TrainingRun.objects.exists()
    assert "clip_low=&#x27;wide&#x27; is not a number" in answer.text and 'href="#grpo-clip_low"' in answer.text
    shown = folded(answer.text)
    assert 'value="wide"' in shown and 'name="sft-epochs" value="2"' in shown


def test_form_and_toml_turn_into_each_other(page: Client, snapshot: DatasetSnapshot) -> None:
    written = page.post(EDIT, sent(snapshot, do="toml", **{"grpo-clip_high": "0.28", "sft-bf16": "yes"}))
    text = written.context["asked"].text
    assert 'preset = "starter-sft"' in text and "clip_high = 0.28  # set here" in text and "bf16 = true" in text
    form = page.post(EDIT, sent(snapshot, do="form", mode="toml", text=text.replace("0.28", "0.3"))).text
    form = folded(form)
    assert 'name="grpo-clip_high" value="0.3"' in form and 'preset <span class="mono">0.2</span>' in form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('preset = "starter-sft"\n[grpo]\nclip_low = "wide"\n', "Line 3, [grpo]: clip_low"),
        ("[grpo\n", "This is not valid TOML"),
        ('preset = "starter-sft"\n[grpo]\nupdate_batch = 60\n', "update_batch=60"),
    ],
)
def test_what_is_wrong_in_toml_is_named_with_its_field_and_line(
    page: Client, snapshot: DatasetSnapshot, text: str, message: str
) -> None:
    answer = page.post(EDIT, sent(snapshot, do="plan", mode="toml", text=text))
    assert answer.status_code == 422 and message in answer.text and "[grpo" in answer.context["asked"].text


def test_the_plan_is_shown_and_nothing_starts(page: Client, snapshot: DatasetSnapshot) -> None:
    answer = page.post(EDIT, sent(snapshot, do="plan"))
    assert answer.status_code == 200 and not TrainingRun.objects.exists()
    plan = answer.context["plan"]
    assert [stage.kind for stage in plan.stages] == ["sft", "mine", "grpo"] and plan.stages[0].used > 20
    assert "Upper bounds" in answer.text and "what serving the version takes" in answer.text


def test_a_pipeline_starts_with_the_settings_of_the_form_and_only_once(page: Client, snapshot: DatasetSnapshot) -> None:
    for _ in range(2):
        answer = page.post(EDIT, sent(snapshot, do="start", **{"sft-epochs": "2", "mine-rollouts": "6"}))
    pipeline = Pipeline.objects.get()
    sft, mine, grpo = pipeline.runs.order_by("id")
    assert answer["Location"] == reverse("training:run", args=[sft.pk])
    assert (sft.config["epochs"], mine.config["rollouts"], grpo.mined_from, grpo.recipe) == (
        2.0,
        6,
        mine,
        "starter-sft",
    )
    shown = page.get(answer["Location"]).text
    assert "Mining" in shown and "set for this run" in shown and 'instead of <span class="mono">8.0</span>' in shown


def test_a_single_run_starts_on_what_a_mining_kept(page: Client, snapshot: DatasetSnapshot, lead: User) -> None:
    mining = TrainingRun.objects.create(
        name="mined",
        kind=RunKind.MINE,
        status=RunStatus.SUCCEEDED,
        snapshot=snapshot,
        base_version=production(),
        requested_by=lead,
    )
    page.post(EDIT, sent(snapshot, do="start", what="dpo", mined_from=mining.pk))
    assert TrainingRun.objects.latest("id").mined_from == mining
    answer = page.post(EDIT, sent(snapshot, do="start", what="dpo", key="two"))
    assert answer.status_code == 422 and "DPO learns from rollouts" in answer.text


def test_processes_that_cannot_be_started_are_refused_in_words(page: Client, snapshot: DatasetSnapshot) -> None:
    answer = page.post(EDIT, sent(snapshot, do="start", what="sft", processes=2))
    assert (
        answer.status_code == 422
        and "one process has strategy none" in answer.text
        and not TrainingRun.objects.exists()
    )


def test_a_runs_settings_open_in_the_recipe(page: Client, snapshot: DatasetSnapshot) -> None:
    page.post(EDIT, sent(snapshot, do="start", what="mine", **{"mine-rollouts": "7"}))
    run = TrainingRun.objects.get()
    answer = page.get(EDIT, {"run": run.pk})
    assert 'name="mine-rollouts" value="7"' in folded(answer.text) and answer.context["start"]["what"].value() == "mine"


def test_without_a_snapshot_the_page_says_what_to_do(page: Client) -> None:
    production()
    answer = page.post(
        EDIT,
        {
            "mode": "form",
            "preset": "starter-sft",
            "what": "sft",
            "base": production().pk,
            "processes": 1,
            "strategy": "none",
            "do": "start",
        },
    )
    assert answer.status_code == 422 and "Take a snapshot first" in answer.text
