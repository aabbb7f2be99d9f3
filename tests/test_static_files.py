"""Static files as browsers get them: named after their content, compressed beforehand, kept for years."""

import gzip
from pathlib import Path

import brotli
import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

WITH_HASH = "guardapp.static_files.StaticFiles"


@pytest.fixture
def collected(settings: Settings, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path / "collected"
    # ours, without the API's documentation
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": WITH_HASH}}
    call_command("collectstatic", verbosity=0, interactive=False)
    return tmp_path / "collected"


def test_files_are_named_after_their_content_compressed_and_kept_for_years(collected: Path, db: None) -> None:
    url = staticfiles_storage.url("css/shell.css")
    name = url.removeprefix("/static/")
    assert name != "css/shell.css" and (collected / name).is_file()
    plain = (collected / name).read_bytes()
    client = Client()
    for accepted, unpack in {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}.items():
        answer = client.get(url, headers={"Accept-Encoding": accepted})
        content = b"".join(answer)
        assert answer.get("Content-Encoding", "identity") == accepted and unpack(content) == plain
        assert answer["Cache-Control"] == "max-age=315360000, public, immutable" and answer["Vary"] == "Accept-Encoding"
        assert accepted == "identity" or len(content) < len(plain) / 2
    without_hash = client.get("/static/css/shell.css")
    assert "immutable" not in without_hash["Cache-Control"], "its content may change"
    without_hash.close()


def test_pages_name_the_files_by_their_hash(collected: Path, client: Client, db: None) -> None:
    page = client.get("/login/").content.decode()
    assert staticfiles_storage.url("css/shell.css") in page and "css/shell.css" not in page
