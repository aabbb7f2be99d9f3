"""What stays in caches, on disks and in backups, and who may read it; and what a backup may bring."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installed
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from annotation.media.store import store
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from tests.factories import make_item, make_user, production
from training.installation.backup import RestoreNotPossible, back_up, restore
from training.installation.first_start import close_data_folder
from training.installation.listed_files import listed, places_in

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def echo(_line: str) -> None:
    pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    "name", ["home", "items", "account", "policy", "queues", "insights", "export", "training:home"]
)
def test_pages_stay_in_no_cache(client: Client, name: str) -> None:
    production()
    client.force_login(make_user(Role.LEAD))
    assert "no-store" in client.get(reverse(name))["Cache-Control"]


def test_content_stays_in_no_cache_and_words_do(client: Client) -> None:
    item = make_item()
    made = create_key(owner=make_user(Role.LEAD), name="reads", scopes=[ApiScope.ITEMS_READ])
    headers = {"Authorization": f"Bearer {made.secret}"}
    assert client.get(f"/api/v1/items/{item.pk}", headers=headers)["Cache-Control"] == "no-store"
    assert client.get("/api/v1/items/0", headers=headers)["Cache-Control"] == "no-store"
    client.force_login(make_user())
    for url in (reverse("item", args=[item.pk]), reverse("review", args=["default"])):
        assert "no-store" in client.get(url)["Cache-Control"]
    assert "max-age" in client.get(reverse("javascript_words"))["Cache-Control"]


def test_files_are_for_the_products_own_user(settings: Settings, tmp_path: Path) -> None:
    assert os.umask(0o077) == 0o077 == int(installed.UMASK, 8)
    stored = store(PNG)
    path = Path(settings.MEDIA_ROOT) / stored.path
    assert mode(path) == 0o600 and mode(path.parent) == 0o700
    tmp_path.chmod(0o755)
    close_data_folder(tmp_path)
    assert mode(tmp_path) == 0o700


@pytest.fixture
def backup(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.BACKUP_KEY = "a key that is kept elsewhere"
    for name in ("one.json", "two.json"):
        path = Path(settings.MODELS_DIR) / "r1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        path.chmod(0o644)
    monkeypatch.setitem(
        vars(__import__("training.installation.backup", fromlist=["x"]))["_COPY"],
        "sqlite",
        lambda target: target.write_bytes(b"a database"),
    )
    monkeypatch.setitem(
        vars(__import__("training.installation.backup", fromlist=["x"]))["_COPY"],
        "postgresql",
        lambda target: target.write_bytes(b"a database"),
    )
    made = tmp_path / "backup"
    back_up(made, echo)
    return made


def manifest_of(backup: Path, **changes: Any) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((backup / "manifest.json").read_text())
    (backup / "manifest.json").write_text(json.dumps(manifest | changes))
    return manifest


def refused(backup: Path) -> str:
    with pytest.raises(RestoreNotPossible) as caught:
        restore(backup, echo, replace=True)
    return str(caught.value)


def test_a_backup_is_for_its_own_user(backup: Path) -> None:
    assert mode(backup) == 0o700
    found = list(backup.rglob("*"))
    assert len(found) > 4 and all(mode(path) & 0o077 == 0 for path in found)


def test_a_backup_that_is_not_signed_with_the_key_or_was_changed_is_not_restored(
    backup: Path, settings: Settings
) -> None:
    manifest = manifest_of(backup)
    assert len(manifest["signature"]) == 64
    for changes in ({"signature": ""}, {"sha256": manifest["sha256"] | {"files/models/r1/three.json": "0" * 64}}):
        manifest_of(backup, **changes)
        assert "is not signed with GUARDAPP_BACKUP_KEY, or was changed" in refused(backup)
        (backup / "manifest.json").write_text(json.dumps(manifest))
    settings.BACKUP_KEY = "another key"
    assert "is not signed" in refused(backup)


def test_a_link_in_a_backup_is_not_followed(backup: Path, tmp_path: Path) -> None:
    inside = backup / "files" / "models"
    inside.rename(tmp_path / "elsewhere")
    inside.symlink_to(tmp_path / "elsewhere")
    assert "is a link in the backup" in refused(backup)


def test_a_database_that_is_not_listed_is_not_restored(backup: Path, settings: Settings) -> None:
    settings.BACKUP_KEY = ""
    digests = manifest_of(backup)["sha256"]
    manifest_of(backup, sha256={name: digest for name, digest in digests.items() if not name.startswith("database")})
    assert "does not list its database" in refused(backup)


def test_only_listed_files_of_a_folder_are_taken(tmp_path: Path) -> None:
    names = [
        "files/models/r1/one.json",
        "files/modelsx/two",
        "files/media/a",
        "secret_key",
        "models/r1/x",
        "files/models",
    ]
    assert [str(name) for name in listed(names, "models")] == ["r1/one.json", "."]
    target, outside = tmp_path / "models", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "r2").symlink_to(outside)
    taken = [str(relative) for relative, _ in places_in(target, [Path("r1/one.json"), Path("r2/two.json")])]
    assert taken == ["r1/one.json"] and not list(outside.iterdir())
