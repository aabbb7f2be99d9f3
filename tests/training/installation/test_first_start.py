"""A first start makes everything that is needed, a second one changes nothing."""

import os
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from annotation.models import Item, User
from annotation.status import ItemStatus
from training.installation.demo_queue import load_demo
from training.installation.first_start import collect_static_files, demo_is_wanted, prepare

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_static_root(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


def test_passwords_are_printed_once_and_never_again() -> None:
    first: list[str] = []
    second: list[str] = []
    prepare(first.append)
    prepare(second.append)
    said = [line.split()[0] for line in first if line.startswith("    ")]
    assert said == ["admin", "lead", "reviewer"] and User.objects.count() == 3
    assert not any(line.startswith("    ") for line in second)


def test_static_files_are_collected_again_only_when_they_have_changed(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.css").write_text("a {}")
    settings.STATICFILES_DIRS = [source]
    assert [collect_static_files(), collect_static_files()] == [True, False]
    (source / "a.css").write_text("a { color: red }")
    later = time.time() + 10  # Django compares whole seconds
    os.utime(source / "a.css", (later, later))
    assert collect_static_files()
    assert (settings.STATIC_ROOT / "a.css").read_text() == "a { color: red }"


def test_the_demo_queue_holds_text_pictures_and_clips_and_loads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo_is_wanted()
    assert [load_demo(count=15), load_demo(count=15)] == [15, 0]
    kinds = list(Item.objects.values_list("modality", flat=True))
    assert {kinds.count("text"), kinds.count("video")} == {10, 2} and len(kinds) == 15
    assert set(Item.objects.values_list("status", flat=True)) == {ItemStatus.PENDING}
    assert not demo_is_wanted()


def test_an_installation_may_ask_for_no_demo(settings: Settings) -> None:
    settings.DEMO_ITEMS = 0
    assert not demo_is_wanted()
