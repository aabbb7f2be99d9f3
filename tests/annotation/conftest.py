"""Callers of the API: programs with keys, people with sessions; and the guard as a process of its own."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import User
from annotation.moderation.guard_process import Guarding
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from guardapp.guard.protocol import Engine
from tests.annotation.guard_process import serving
from tests.factories import default_policy, default_queue, make_user, production

KeyedClient = Callable[..., APIClient]
Serve = Callable[[Engine], Guarding]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that were rung; nothing is sent."""
    rung: list[str] = []

    def ring(task: Any) -> bool:
        rung.append(task.name)
        return True

    monkeypatch.setattr("annotation.api.items.ring", ring)
    return rung


@pytest.fixture
def with_key(db: None, broker: list[str]) -> KeyedClient:
    """A client that sends the key of a lead (or of `owner`) with the given scopes."""
    default_queue()
    default_policy()

    def client(*scopes: ApiScope, owner: User | None = None) -> APIClient:
        made = create_key(owner=owner or make_user(Role.LEAD), name="test", scopes=scopes)
        return APIClient(headers={"Authorization": f"Bearer {made.secret}"})

    return client


@pytest.fixture
def sender(with_key: KeyedClient) -> APIClient:
    """May send and read items."""
    return with_key(ApiScope.ITEMS_WRITE, ApiScope.ITEMS_READ)


@pytest.fixture
def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (64, 48), (20, 120, 220)).save(written, "PNG")
    return written.getvalue()


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
