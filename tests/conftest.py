"""What every test gets: fast password hashes, a data folder of its own, and static files as they are in the source."""

from pathlib import Path

import pytest
from pytest_django import Settings

from guardapp.celery import app as celery_app

__all__ = ["celery_app"]


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
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    monkeypatch.setattr("annotation.selectors_health.look", lambda: ())  # no test's pages have a broker beside them
