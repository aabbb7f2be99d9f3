"""Media in a bucket: a real S3 server that checks signatures, the real decoder, the real pages."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_archive
from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import IncomingItem, IncomingMedia
from annotation.media import bucket, files
from annotation.media.store import store
from annotation.models import Item, MediaAsset, ModelVersion
from annotation.people.api_keys import create_key
from annotation.predictions import claims
from annotation.predictions.checkpoints import fetch_checkpoint, share_checkpoint
from annotation.predictions.predict import predict_pending
from annotation.predictions.turns import Predicted
from annotation.status import ApiScope, ItemStatus, Role
from guardapp.guard.media.errors import MediaNotAFile, MediaStoreAway, MediaTooLarge
from guardapp.object_store import ObjectStore, parse
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import default_policy, default_queue, for_members_only, make_user, production
from tests.guard.media.samples import make_video
from tests.team.s3_server import ACCOUNT, BUCKET, S3Server
from training.installation.bucket_backup import copy_from_bucket, copy_to_bucket
from training.snapshots.job_media import forget_media, with_media

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def s3(server: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """Media lies in a folder of the test's own in the bucket."""
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    settings.OBJECT_STORE = parse(f"s3://{BUCKET}/{tmp_path.name}?endpoint={server.endpoint}")
    settings.DATA_DIR = tmp_path
    return server


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    make_video(path)
    return path.read_bytes()


def ingested(*media: bytes, name: str = "one") -> Item:
    default_queue()
    default_policy()
    row = IncomingItem(
        external_id=name, source="test", prompt="Look.", media=tuple(IncomingMedia(one, "/media/0") for one in media)
    )
    [result] = ingest_items(rows=[row])
    assert result.id is not None, result
    return Item.objects.get(pk=result.id)


def predict() -> Predicted:
    return predict_pending(engine=ScriptedEngine(), version=production(), limit=8)


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def frame_url(item: Item, index: int = 0) -> str:
    return reverse("frame", args=[item.prediction_id, 0, index])


def test_an_upload_goes_to_the_bucket_and_its_frames_too_and_this_disk_keeps_no_original(
    s3: S3Server, settings: Settings, png: bytes, video: bytes
) -> None:
    item = ingested(png, video)
    assert files_under(settings.MEDIA_ROOT) == [], "only the bucket has it"
    assert predict() == Predicted(1, 1, 0)
    item.refresh_from_db()
    assert item.prediction is not None
    picture, clip = item.prediction.media_seen
    stored = set(bucket.names(""))
    assert {asset.path for asset in item.media.all()} < stored
    assert {f"{picture['folder']}/{name}" for name in ("0000.png", "frames.json")} < stored
    assert len([name for name in stored if name.startswith(clip["folder"])]) == len(clip["timestamps"]) + 1 > 2
    assert not [path for path in files_under(settings.MEDIA_ROOT) if "frames" not in path.parts], (
        "originals are for the decoder alone"
    )


def test_another_machine_reads_the_frames_and_decodes_nothing_again(
    s3: S3Server, settings: Settings, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = ingested(png).media.get()
    here = files.decoded([asset])[asset.sha256]
    shutil.rmtree(settings.MEDIA_ROOT)
    monkeypatch.setattr(files, "decode_many", lambda *_: pytest.fail("it was decoded once"))
    assert files.decoded([asset])[asset.sha256] == here
    assert (files.frames_folder(asset.sha256) / "0000.png").read_bytes()[:4] == b"\x89PNG"


def test_a_page_shows_media_by_links_that_end(s3: S3Server, settings: Settings, client: Client, png: bytes) -> None:
    settings.MEDIA_LINK_SECONDS = 5
    item = ingested(png)
    predict()
    item.refresh_from_db()
    client.force_login(make_user())
    assert frame_url(item) in client.get(reverse("item", args=[item.pk])).content.decode()
    asset_url = reverse("asset", args=[item.media.get().sha256])
    links = [client.get(url) for url in (frame_url(item), asset_url)]
    assert [answer.status_code for answer in links] == [302, 302]
    for answer in links:
        link = answer["Location"]
        assert link.startswith(f"{settings.OBJECT_STORE.origin}/") and "private" in answer["Cache-Control"]
        assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["5"]
        with urllib.request.urlopen(link, timeout=5) as shown:
            assert (shown.status, shown.headers["Content-Type"], shown.read(4)) == (200, "image/png", b"\x89PNG")
    time.sleep(6.1)
    assert [status_of(answer["Location"]) for answer in links] == [403, 403]
    assert [status_of(answer["Location"].partition("?")[0]) for answer in links] == [403, 403], "without a signature"
    assert status_of(links[0]["Location"].replace("0000.png", "frames.json")) == 403, "a link is for one object"


def test_links_are_given_only_to_who_may_work_on_the_item(s3: S3Server, client: Client, png: bytes) -> None:
    item = ingested(png)
    predict()
    item.refresh_from_db()
    insider, outsider = make_user(), make_user()
    for_members_only(item.queue, insider)
    urls = [frame_url(item), reverse("asset", args=[item.media.get().sha256])]
    for user, expected in ((insider, 302), (outsider, 403), (make_user(Role.LEAD), 302)):
        client.force_login(user)
        assert [client.get(url).status_code for url in urls] == [expected] * 2
    client.logout()
    assert all(client.get(url)["Location"].startswith(reverse("login")) for url in urls)
    client.force_login(insider)
    assert client.get(frame_url(item, index=99)).status_code == 404


def test_a_store_that_is_away_is_shown_on_the_item_which_waits_and_is_predicted_when_it_is_back(
    server: S3Server, s3: S3Server, settings: Settings, client: Client, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "REST", timedelta())
    item = ingested(png)
    server.kill()
    try:
        began = time.monotonic()
        for _ in range(4):  # more often than an item may fail
            assert predict() == Predicted(1, 0, 0)
        assert time.monotonic() - began < 30
        item.refresh_from_db()
        assert (item.status, item.attempts, item.error_code) == (ItemStatus.PENDING, 0, "media_store_away")
        assert "retried automatically" in item.error_message and settings.OBJECT_STORE.url in item.error_message
        key = create_key(owner=make_user(Role.LEAD), name="x", scopes=[ApiScope.ITEMS_WRITE]).secret
        rows = {"external_id": "two", "prompt": "x", "media": ["data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="]}
        refused = APIClient(headers={"Authorization": f"Bearer {key}"}).post("/api/v1/items", rows, format="json")
        assert (refused.status_code, refused["Retry-After"]) == (503, "30")
        assert refused.json()["type"] == "urn:guardapp:problem:media_not_reached"
        assert client.get("/readyz").json()["media"].startswith("s3://")
    finally:
        server.start()
    assert predict() == Predicted(1, 1, 0)
    item.refresh_from_db()
    assert (item.status, item.error_code, Item.objects.count()) == (ItemStatus.READY, "", 1)
    assert client.get("/readyz").json()["media"] == "ok"


def test_what_is_missing_or_too_large_is_reported_by_its_own_name(
    s3: S3Server, tmp_path: Path, png: bytes, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store(png)
    with pytest.raises(MediaTooLarge):
        bucket.fetch(stored.path, tmp_path / "small", limit=10)
    with pytest.raises(MediaNotAFile):
        bucket.fetch("assets/no/thing", tmp_path / "small", limit=10)
    assert not list(tmp_path.glob("*small*"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    settings.OBJECT_STORE = ObjectStore(BUCKET, "other", settings.OBJECT_STORE.endpoint)
    with pytest.raises(MediaStoreAway, match="SignatureDoesNotMatch"):
        bucket.fetch("x", tmp_path / "x", limit=10)


def test_the_cache_lets_go_of_the_frames_that_were_used_longest_ago(
    s3: S3Server, settings: Settings, png: bytes, video: bytes
) -> None:
    assets = list(ingested(png, video).media.all())
    files.decoded(assets)
    settings.MEDIA_CACHE_MB = 0
    assert files.trim() == 0, "used within the hour"
    old = files.frames_folder(assets[0].sha256)
    os.utime(old / "frames.json", (0, 0))
    assert files.trim() == 1 and not old.exists() and files.frames_folder(assets[1].sha256).exists()
    assert files.frames_at(str(old.relative_to(settings.MEDIA_ROOT))).exists(), "the bucket has them"


def test_exports_backups_jobs_and_checkpoints_read_the_bucket(
    s3: S3Server, settings: Settings, tmp_path: Path, png: bytes
) -> None:
    item = ingested(png)
    predict()
    item.refresh_from_db()
    asset: MediaAsset = item.media.get()
    assert item.prediction is not None
    folder = item.prediction.media_seen[0]["folder"]
    shutil.rmtree(settings.MEDIA_ROOT)

    with files.original(asset.path) as path:
        assert path.read_bytes() == png
    with export_archive(request=ExportRequest(ExportFormat.CANONICAL)) as archive:
        assert archive.read(2) == b"PK"

    dataset = tmp_path / "rows.jsonl"
    dataset.write_text(json.dumps({"media": [{"frames": [{"path": f"{folder}/0000.png", "timestamp_s": 0.0}]}]}) + "\n")
    config = with_media({"dataset": str(dataset), "media_root": "elsewhere"}, tmp_path / "run")
    frame = Path(config["media_root"]) / folder / "0000.png"
    shutil.rmtree(settings.MEDIA_ROOT)
    assert frame.read_bytes()[:4] == b"\x89PNG", "whatever the cache lets go of"
    forget_media(tmp_path / "run")
    assert not frame.exists()

    copied = dict(copy_from_bucket(tmp_path / "copy"))
    assert (tmp_path / "copy" / asset.path).read_bytes() == png and copied[
        tmp_path / "copy" / asset.path
    ] == asset.sha256
    settings.OBJECT_STORE = ObjectStore(BUCKET, f"{tmp_path.name}-restored", s3.endpoint)
    copy_to_bucket(tmp_path / "copy", [place.relative_to(tmp_path / "copy") for place in copied])
    assert files.decoded([asset])[asset.sha256]

    model = tmp_path / "models" / "r1"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    share_checkpoint(model)
    shutil.rmtree(model)
    fetch_checkpoint("models/r1")
    assert (model / "config.json").read_text() == "{}"
    fetch_checkpoint("org/name-of-the-hub")
    assert not (tmp_path / "org").exists() and ModelVersion.objects.count() == 1
