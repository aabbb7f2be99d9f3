"""Callers of the API: programs with keys, people with sessions."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from rest_framework.test import APIClient

from annotation.models import User
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from tests.factories import default_policy, default_queue, make_user

KeyedClient = Callable[..., APIClient]


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
