"""A training run sends content to no address but the operator's."""

from dataclasses import fields
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from guardapp.env import Section
from tests.factories import make_user, production
from tests.training.rows import make_snapshot
from training.files import directory_of
from training.models import TrainingRun
from training.recipes import CHOICES, CONFIGS, SettingUnknown
from training.recipes.checks import fields_of
from training.recipes.launch import STRATEGIES, Launch
from training.runs.job_config import prepare_run

pytestmark = pytest.mark.django_db
LISTENER = "http://203.0.113.7:8000"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> APIClient:
    monkeypatch.setattr("training.api.base.ring", lambda task: None)
    made = create_key(owner=make_user(Role.LEAD), name="trains", scopes=[ApiScope.TRAIN])
    return APIClient(headers={"Authorization": f"Bearer {made.secret}"})


@pytest.fixture
def asked() -> dict[str, Any]:
    production()
    return {"kind": "mine", "recipe": "omni-v1", "snapshot": make_snapshot().pk}


def prepared(run: TrainingRun) -> dict[str, Any]:
    directory_of(run).mkdir(parents=True, exist_ok=True)
    return prepare_run(run, directory_of(run))


def test_no_setting_of_any_run_is_a_free_text_but_the_name_of_a_server() -> None:
    free = {
        (kind, name)
        for kind in CONFIGS
        for name, field in fields_of(kind).items()
        if field.type is str and name not in CHOICES
    }
    assert free == {("mine", "server"), ("grpo", "server")}
    assert {field.name for field in fields(Launch) if field.type is str} == {"strategy", "main"} and STRATEGIES


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"settings": {"engine": "server", "vllm_url": LISTENER}}, "GUARDAPP_TRAINING_SERVERS"),
        ({"settings": {"vllm_url": LISTENER}}, "vllm_url"),
        ({"settings": {"engine": "server", "server": LISTENER}}, "is not a name in GUARDAPP_TRAINING_SERVERS"),
        ({"settings": {"engine": "server"}}, "server is empty"),
        ({"settings": {"model": LISTENER}}, "model"),
        ({"settings": {"media_root": "//203.0.113.7/share"}}, "media_root"),
        ({"launch": {"main_address": "203.0.113.7", "main_port": 29_400}}, "GUARDAPP_TRAINING_MACHINES"),
        ({"launch": {"main_port": 29_400}}, "main_port"),
    ],
)
def test_an_address_in_a_request_is_refused_by_field(
    client: APIClient, asked: dict[str, Any], given: dict[str, Any], named: str
) -> None:
    answer = client.post("/api/v1/runs", asked | given, format="json")
    assert answer.status_code == 422 and named in answer.text, answer.text
    assert not TrainingRun.objects.exists()


def test_a_named_server_becomes_the_operators_address_when_the_job_starts(
    client: APIClient, asked: dict[str, Any], settings: Settings
) -> None:
    settings.TRAINING_SERVERS = {"gpu": ["http://gpu-1:8000", "http://gpu-2:8000"]}
    given = asked | {"settings": {"engine": "server", "server": "gpu"}}
    answer = client.post("/api/v1/runs", given, format="json")
    assert answer.status_code in (201, 202), answer.text
    run = TrainingRun.objects.get()
    assert LISTENER not in str(run.config)
    assert prepared(run)["vllm_url"] == "http://gpu-1:8000,http://gpu-2:8000"
    settings.TRAINING_SERVERS = {}
    with pytest.raises(SettingUnknown, match="Known: none"):
        prepared(run)


@pytest.mark.parametrize("more", [{}, {"server": "", "engine": "server"}])
def test_an_address_in_a_run_of_an_earlier_release_is_not_used(
    client: APIClient, asked: dict[str, Any], more: dict[str, str]
) -> None:
    client.post("/api/v1/runs", asked, format="json")
    run = TrainingRun.objects.get()
    run.config |= {"vllm_url": LISTENER, **more}
    run.save()
    assert prepared(run)["vllm_url"] == ""


def test_the_operators_names_are_read_with_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    section = Section("Of this test")
    monkeypatch.setattr("guardapp.env.REGISTER", {})
    monkeypatch.setenv("NAMES_OF_THIS_TEST", "a=http://one:1, b = x:2 ,a=http://two:2")
    assert section.named("NAMES_OF_THIS_TEST", "of this test") == {"a": ["http://one:1", "http://two:2"], "b": ["x:2"]}
    monkeypatch.setenv("NAMES_OF_THIS_TEST", "http://one")
    with pytest.raises(ImproperlyConfigured, match="is not NAME=VALUE"):
        section.named("NAMES_OF_THIS_TEST", "of this test")
