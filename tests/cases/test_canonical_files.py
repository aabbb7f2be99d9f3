"""What an export is imported from: files with a manifest, archives with media, and nothing else."""

import base64
import io
import os
import signal
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from annotation.exporting.export_files import folder_of, request_export, write_next
from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_archive
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import ingest_items
from annotation.models import Item
from annotation.status import ExportLayout, ItemStatus
from tests.cases.lived_in import (
    EDITED,
    decide,
    differences,
    exported,
    imported,
    lines,
    wipe,
    without_local_ids,
)
from tests.factories import make_item, production
from tests.paths import ROOT

pytestmark = pytest.mark.django_db


def test_files_with_a_manifest_are_imported_as_a_folder_and_checked_by_their_sums(tmp_path: Path) -> None:
    for _ in range(5):
        make_item()
        decide(EDITED)
    export = request_export(
        request=ExportRequest(ExportFormat.CANONICAL), layout=ExportLayout.JSONL, actor=None, by="test", rows_a_file=2
    )
    while write_next(export=export):
        pass
    folder = folder_of(export)
    before = exported()
    copy = tmp_path / "export"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    wipe()
    out = io.StringIO()
    call_command("import_canonical", copy, stdout=out)
    assert "5 imported, 0 there already, 0 rejected." in out.getvalue()
    assert differences(without_local_ids(exported()), without_local_ids(before)) == []
    broken = sorted(copy.glob("*.gz"))[1]
    broken.write_bytes(broken.read_bytes()[:-9] + b"somethingelse")
    with pytest.raises(CommandError, match="not the file that manifest"):
        call_command("import_canonical", copy)


def test_the_archive_brings_its_media_and_every_sum_is_checked(tmp_path: Path, png: bytes, settings: Settings) -> None:
    production()
    settings.MEDIA_ROOT = tmp_path / "old"
    picture = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    row = {"external_id": "pic", "source": "forum", "prompt": "What is it?", "media": [picture]}
    ingest_items(rows=[read_row(row)])
    Item.objects.update(status=ItemStatus.READY)
    decide()
    with export_archive(request=ExportRequest(ExportFormat.CANONICAL)) as archive:
        packed = archive.read()
    path, before = tmp_path / "rows.zip", exported()
    path.write_bytes(packed)
    plain = tmp_path / "alone" / "rows.jsonl"
    plain.parent.mkdir()
    plain.write_bytes(lines())
    wipe()
    settings.MEDIA_ROOT = tmp_path / "new"
    alone = imported(plain)
    assert [error.pointer for _, _, error in alone.rejected] == ["/item/media/0/uri"]
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"!" if name.startswith("media/") else b""))
    assert [error.pointer for _, _, error in imported(forged).rejected] == ["/item/media/0/sha256"]
    assert imported(path).created == 1
    assert differences(without_local_ids(exported()), without_local_ids(before)) == []
    assert [file.read_bytes() for file in (tmp_path / "new" / "assets").rglob("*") if file.is_file()] == [png]
    wipe()
    settings.MEDIA_ROOT = tmp_path / "third"
    assert imported(plain, media=tmp_path / "old").created == 1
    wipe()
    settings.MEDIA_ROOT = tmp_path / "fourth"
    assert imported(plain, without_media=True).created == 1


def test_a_file_that_was_stored_with_its_metadata_keeps_its_sum(tmp_path: Path, png: bytes, settings: Settings) -> None:
    production()
    settings.MEDIA_ROOT, settings.KEEP_METADATA = tmp_path / "old", True
    picture = f"data:image/png;base64,{base64.b64encode(png + b'trailing').decode()}"
    ingest_items(rows=[read_row({"external_id": "pic", "source": "forum", "prompt": "?", "media": [picture]})])
    Item.objects.update(status=ItemStatus.READY)
    decide()
    with export_archive(request=ExportRequest(ExportFormat.CANONICAL)) as archive:
        (tmp_path / "rows.zip").write_bytes(archive.read())
    before = exported()
    wipe()
    settings.MEDIA_ROOT, settings.KEEP_METADATA = tmp_path / "new", False
    assert imported(tmp_path / "rows.zip").rejected == []
    assert differences(without_local_ids(exported()), without_local_ids(before)) == []


@pytest.mark.parametrize(
    "name", ["../evil.jsonl", "/etc/evil", "media\\..\\evil", "C:evil", "media/../../evil", "rows.jsonl"]
)
def test_hostile_archives_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name is written twice on purpose
        archive.writestr("rows.jsonl", b"{}\n")
        archive.writestr(name, b"{}\n")
    with pytest.raises(CommandError, match=r"outside of it|twice"):
        call_command("import_canonical", path)


def test_what_is_no_export_is_refused_in_words(tmp_path: Path) -> None:
    for name, content in (
        ("a.zip", b"PK\x03\x04 broken"),
        ("a.parquet", b"PAR1 and more"),
        ("a.gz", b"\x1f\x8bbroken"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CommandError):
            call_command("import_canonical", tmp_path / name)
    with pytest.raises(CommandError, match=r"no \.jsonl"):
        (tmp_path / "empty").mkdir()
        call_command("import_canonical", tmp_path / "empty")
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import_canonical", tmp_path / "nothing")


def manage(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    """A command of an installation of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    environment |= {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3", "GUARDAPP_DATA": str(folder)}
    command = [sys.executable, "manage.py", *words]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def said_by(folder: Path, *words: str) -> list[bytes]:
    with manage(folder, *words) as done:
        assert done.stdout is not None
        return done.stdout.read().splitlines()


@pytest.mark.faults
@pytest.mark.slow
def test_an_import_that_is_killed_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    make_item()
    decide(EDITED)
    [record] = exported()
    path, new, count = tmp_path / "rows.jsonl", tmp_path / "new", 450
    new.mkdir()
    with path.open("wb") as file:
        for number in range(count):
            record["item"]["external_id"] = f"item-{number}"
            file.write(orjson.dumps(record) + b"\n")
            record["definitions"] = None
    said_by(new, "migrate")
    with manage(new, "import_canonical", str(path)) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()  # the first hundred are in
        killed.send_signal(signal.SIGKILL)
    said = said_by(new, "import_canonical", str(path))[-1].decode()
    created, there = (int(words.split()[0]) for words in said.split(", ")[:2])
    assert 0 < there < count and created + there == count
    records = [orjson.loads(line) for line in said_by(new, "export")]
    assert [one["item"]["external_id"] for one in records] == [f"item-{number}" for number in range(count)]
    assert {len(one["review"]) for one in records} == {len(record["review"])}
    assert {len(one["events"]) for one in records} == {len(record["events"])}
