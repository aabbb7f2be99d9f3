"""Workers serve the production version, and a new one as soon as there is one."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from annotation.models import ModelVersion, Prediction, User
from annotation.people.accounts import create_first_accounts
from annotation.predictions import loaded_engine
from annotation.predictions.loaded_engine import checkpoint_of, engine_for, ensure_production_version, stored_checkpoint
from annotation.predictions.production import production_version
from annotation.status import ItemStatus, Role, VersionStatus
from annotation.tasks import predict, release_stale
from guardapp.guard.protocol import CheckpointNotUsable
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import make_item, make_user, production

pytestmark = pytest.mark.django_db


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checkpoints that were loaded, in order, with a scripted engine in place of each."""
    loaded: list[str] = []

    def load(checkpoint: str) -> ScriptedEngine:
        loaded.append(checkpoint)
        return ScriptedEngine(name=checkpoint)

    monkeypatch.setattr(loaded_engine, "_load", load)
    monkeypatch.setattr(loaded_engine, "_loaded", None)
    return loaded


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pauses of the bells that the task rang again."""
    pauses: list[int] = []
    monkeypatch.setattr("annotation.tasks.ring", lambda task, countdown=0: pauses.append(countdown))
    return pauses


def promote(name: str) -> ModelVersion:
    ModelVersion.objects.filter(status=VersionStatus.PRODUCTION).update(status=VersionStatus.RETIRED)
    return ModelVersion.objects.create(name=name, checkpoint=name, status=VersionStatus.PRODUCTION)


def test_an_engine_is_loaded_once_and_swapped_when_production_changes(loads: list[str], rung: list[int]) -> None:
    production("first")
    for number in range(4):
        make_item(status=ItemStatus.PENDING, predicted=False)
        if number == 2:
            promote("second")
        predict()
    assert loads == ["first", "second"]
    assert (
        list(Prediction.objects.order_by("id").values_list("version__checkpoint", flat=True))
        == ["first"] * 2 + ["second"] * 2
    )


def test_where_servers_do_not_take_a_promotion_the_former_version_goes_on(
    loads: list[str], rung: list[int], settings: Settings, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    settings.VLLM_URLS = ["http://127.0.0.1:1"]
    taken = {"first"}

    def load(checkpoint: str) -> ScriptedEngine:
        loads.append(checkpoint)
        if checkpoint not in taken:
            raise CheckpointNotUsable(f"{checkpoint} is served by none of them.")
        return ScriptedEngine(name=checkpoint)

    monkeypatch.setattr(loaded_engine, "_load", load)
    production("first")
    for step in range(4):
        make_item(status=ItemStatus.PENDING, predicted=False)
        if step == 1:
            second = promote("second")
        if step == 3:
            taken.add("second")
            assert loaded_engine._loaded is not None
            monkeypatch.setattr(loaded_engine, "_loaded", replace(loaded_engine._loaded, retry_at=0.0))
        predict()
        if step == 2:
            client.force_login(make_user(Role.LEAD))
            assert b"second is served by none of them" in client.get("/").content
    assert loads == ["first", "second", "second"], "it is not tried again at every batch"
    assert list(Prediction.objects.order_by("id").values_list("version__checkpoint", flat=True)) == ["first"] * 3 + [
        "second"
    ]
    second.refresh_from_db()
    assert second.load_error == ""


def test_a_bell_rings_again_only_while_there_is_work(loads: list[str], rung: list[int]) -> None:
    production()
    predict()
    assert rung == []
    make_item(status=ItemStatus.PENDING, predicted=False)
    predict()
    assert rung == [0]
    predict()
    assert rung == [0]


def test_a_bell_pauses_after_a_claim_that_came_to_nothing(
    loads: list[str], rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    production()
    item = make_item(status=ItemStatus.PENDING, predicted=False)
    monkeypatch.setattr(loaded_engine, "_load", lambda checkpoint: ScriptedEngine(poison=frozenset({item.prompt})))
    predict()
    assert rung == [10]


def test_releasing_nothing_rings_nothing(rung: list[int]) -> None:
    release_stale()
    assert rung == []


def test_the_first_start_makes_the_configured_guard_production_once(settings: Settings) -> None:
    settings.GUARD_MODEL = str(settings.BASE_DIR / "guardapp" / "starter")
    version = ensure_production_version()
    assert (version.name, version.status) == ("starter", VersionStatus.PRODUCTION)
    settings.GUARD_MODEL = "somebody/else-2B"
    assert ensure_production_version() == version == production_version()


def test_another_guard_is_named_after_its_folder_or_id(settings: Settings) -> None:
    settings.GUARD_MODEL = "somebody/guard-2B"
    version = ensure_production_version()
    assert (version.name, version.checkpoint) == ("guard-2B", "somebody/guard-2B")


def test_the_first_accounts_are_made_once_and_their_passwords_work() -> None:
    accounts = create_first_accounts()
    assert [account.role for account in accounts] == [Role.ADMIN, Role.LEAD, Role.REVIEWER]
    for account in accounts:
        user = User.objects.get(username=account.username)
        assert user.check_password(account.password) and account.password not in user.password
    assert create_first_accounts() == []


def test_a_checkpoint_that_cannot_be_loaded_leaves_items_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(checkpoint: str) -> ScriptedEngine:
        raise FileNotFoundError(checkpoint)

    monkeypatch.setattr(loaded_engine, "_load", load)
    monkeypatch.setattr(loaded_engine, "_loaded", None)
    item = make_item(status=ItemStatus.PENDING, predicted=False)
    production()
    with pytest.raises(FileNotFoundError):
        predict()
    item.refresh_from_db()
    assert (item.status, item.attempts) == (ItemStatus.PENDING, 0)


def test_a_checkpoint_in_the_data_folder_moves_with_it(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "before"
    folder = settings.DATA_DIR / "models" / "run-1"
    folder.mkdir(parents=True)
    version = ModelVersion(name="run-1", checkpoint=stored_checkpoint(folder))
    assert checkpoint_of(version) == str(folder)
    settings.DATA_DIR = settings.DATA_DIR.rename(tmp_path / "after")
    assert checkpoint_of(version) == str(tmp_path / "after" / "models" / "run-1")


def test_a_guard_that_cannot_be_loaded_says_so_to_leads(tmp_path: Path, client: Client) -> None:
    version = ModelVersion.objects.create(name="gone", checkpoint=str(tmp_path), status=VersionStatus.PRODUCTION)
    with pytest.raises(CheckpointNotUsable):
        engine_for(version)
    client.force_login(make_user(Role.LEAD))
    assert b"The guard gone cannot be loaded" in client.get("/").content
    client.force_login(make_user())
    assert b"cannot be loaded" not in client.get("/").content
