"""Backup and restore on SQLite, by the commands that an operator types."""

import json
from pathlib import Path

import pytest

from guardapp.supervisor.supervise import only_one
from tests.made_once import Migrated
from tests.training.installation.backup_site import Site, backed_up_and_restored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(960)]


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated) -> tuple[Site, Site, Path]:
    folder = tmp_path_factory.mktemp("backup")
    site, other, backup = Site(folder / "old"), Site(folder / "new"), folder / "backup"
    migrated(site.folder)
    backed_up_and_restored(site, other, backup)
    return site, other, backup


def test_what_is_restored_is_what_was_there_and_works(restored: tuple[Site, Site, Path]) -> None:
    site, other, _ = restored
    assert (other.folder / "secret_key").read_text() == (site.folder / "secret_key").read_text()
    assert (other.folder / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_backup_made_while_items_come_in_is_whole(restored: tuple[Site, Site, Path], tmp_path: Path) -> None:
    site, other, _ = restored
    with site.keep_filling(2_000) as filling:
        assert filling.stdout is not None
        filling.stdout.readline()  # it has begun
        site.manage("backup", str(tmp_path / "busy"))
        assert filling.poll() is None, "it ended before the backup did: the test shows nothing"
        filling.kill()
    other.manage("restore", str(tmp_path / "busy"), "--replace")
    rows = other.everything()
    items = [row for row in rows if row["model"] == "annotation.item"]
    links = [row for row in rows if row["model"] == "annotation.itemmedia"]
    assert len(items) == len(links) > 5
    assets = {row["pk"]: row["fields"]["path"] for row in rows if row["model"] == "annotation.mediaasset"}
    assert all((other.folder / "media" / assets[row["fields"]["asset"]]).is_file() for row in links)


def test_a_damaged_backup_touches_nothing(restored: tuple[Site, Site, Path], tmp_path: Path) -> None:
    _, other, backup = restored
    before = other.everything()
    model = backup / "files" / "models" / "r1" / "config.json"
    model.write_text("[]")
    assert "config.json is missing from the backup, or damaged" in other.manage(
        "restore", str(backup), "--replace", fails=True
    )
    model.write_text("{}")
    manifest = json.loads((backup / "manifest.json").read_text())
    for change, words in (
        ({"database": "postgresql"}, "is of postgresql"),
        ({"format": 9}, "has format 9"),
        ({"migrations": ["annotation.9999_later"]}, "of a newer version"),
        ({"sha256": {"../x": ""}}, "outside itself"),
    ):
        (tmp_path / "manifest.json").write_text(json.dumps(manifest | change))
        assert words in other.manage("restore", str(tmp_path), "--replace", fails=True)
    assert "is not a backup" in other.manage("restore", str(tmp_path / "nothing"), fails=True)
    assert other.everything() == before


def test_nothing_is_restored_under_a_running_product_and_no_backup_is_overwritten(
    restored: tuple[Site, Site, Path],
) -> None:
    _, other, backup = restored
    with only_one(other.folder / "up.lock"):
        assert "already runs on" in other.manage("restore", str(backup), "--replace", fails=True)
    assert "already exists" in other.manage("backup", str(backup), fails=True)
