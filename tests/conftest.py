"""What every test gets: fast password hashes, a data folder of its own, and static files as they are in the source. And
their order.
"""

from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from pytest_django import Settings

from annotation.predictions import active_policy
from guardapp.celery import app as celery_app

__all__ = ["celery_app"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that processes which share them end together. Those on Django's test database keep
    pytest-django's order.
    """
    items.sort(
        key=lambda item: item.get_closest_marker("slow") is None or item.get_closest_marker("django_db") is not None
    )


@pytest.fixture(autouse=True)
def quick_and_private(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.FRAMES_DIR = settings.MEDIA_ROOT / "frames"
    settings.MODELS_DIR = tmp_path / "models"
    settings.RUNS_DIR = tmp_path / "runs"
    settings.SNAPSHOTS_DIR = tmp_path / "snapshots"
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    # no test's pages have a broker beside them
    monkeypatch.setattr("annotation.operations.troubles.current_troubles", lambda: ())


@pytest.fixture(autouse=True)
def no_policy_of_another_test() -> None:
    """A policy version is immutable, so processes keep its categories; another test's version may have the same id."""
    active_policy._categories.cache_clear()
    active_policy._codes.cache_clear()


@pytest.fixture(autouse=True)
def rows_of_the_migrations(request: pytest.FixtureRequest) -> None:
    """A test with real transactions empties all tables at its end. pytest-django runs those last, but a worker that has
    done its own takes tests from another: what the migrations wrote may be gone by then."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or marker.kwargs.get("transaction"):
        return
    request.getfixturevalue("db")
    if not apps.get_model("annotation", "ReviewQueue").objects.exists():
        import_module("annotation.migrations.0002_default_queue_and_policy").create_defaults(apps, None)
