"""The guard as a process of its own, and a caller with a key."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.moderation.guard_process import Guarding
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from guardapp.guard.protocol import Engine
from tests.annotation.guard_process import serving
from tests.factories import default_policy, default_queue, make_user, production
from tests.paths import STARTER

Serve = Callable[[Engine], Guarding]


@pytest.fixture(scope="session", autouse=True)
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """whitenoise wants its folder when the live server starts."""
    django_settings.STATIC_ROOT = tmp_path_factory.mktemp("static")


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr("annotation.api.moderation.ring", lambda task: names.append(task.name))
    return names


@pytest.fixture
def caller(rung: list[str]) -> APIClient:
    default_queue()
    default_policy()
    production()
    return APIClient(headers={"Authorization": f"Bearer {new_key()}"})


def new_key(*scopes: ApiScope) -> str:
    return create_key(owner=make_user(Role.LEAD), name="platform", scopes=scopes or [ApiScope.MODERATE]).secret


@pytest.fixture
def serve(tmp_path: Path, settings: Settings) -> Iterator[Serve]:
    settings.GUARD_SOCKET = tmp_path / "guard.sock"
    with ExitStack() as stack:
        yield lambda engine: stack.enter_context(serving(engine, tmp_path / "guard.sock"))


@pytest.fixture(scope="module")
def starter() -> Engine:
    from guardapp.guard.engines.hf.hf_engine import HfEngine

    return HfEngine(str(STARTER), device="cpu", threads=1)
