"""Frames and files: to signed-in people only, with headers that let nothing run."""

from collections.abc import Iterable

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Item, MediaAsset
from tests.browser import scene
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def item() -> Item:
    return scene.video_item()


@pytest.fixture
def asset(item: Item) -> MediaAsset:
    return item.media.get()


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(make_user())
    return client


def frame_url(item: Item, medium: int = 0, index: int = 0) -> str:
    return reverse("frame", args=[item.prediction_id, medium, index])


def body(answer: Iterable[bytes]) -> bytes:
    return b"".join(answer)


def test_media_needs_signing_in(client: Client, item: Item, asset: MediaAsset) -> None:
    for url in (frame_url(item), reverse("asset", args=[asset.sha256])):
        assert client.get(url)["Location"].startswith(reverse("login"))


def test_a_frame_is_the_stored_png(signed_in: Client, item: Item) -> None:
    answer = signed_in.get(frame_url(item, index=3))
    assert answer["Content-Type"] == "image/png"
    assert body(answer)[:4] == b"\x89PNG"


def test_frames_that_are_not_there_are_404(signed_in: Client, item: Item) -> None:
    assert signed_in.get(frame_url(item, medium=1)).status_code == 404
    assert signed_in.get(frame_url(item, index=99)).status_code == 404
    assert signed_in.get(reverse("frame", args=[999, 0, 0])).status_code == 404


def test_untrusted_bytes_are_neither_sniffed_nor_run(signed_in: Client, item: Item, asset: MediaAsset) -> None:
    for url in (frame_url(item), reverse("asset", args=[asset.sha256])):
        answer = signed_in.get(url)
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"].startswith("sandbox")
        assert "private" in answer["Cache-Control"]
        assert answer["Content-Disposition"].startswith("inline")
        body(answer)


def test_a_type_that_browsers_might_run_is_downloaded(signed_in: Client, asset: MediaAsset) -> None:
    MediaAsset.objects.filter(pk=asset.pk).update(mime="image/svg+xml")
    answer = signed_in.get(reverse("asset", args=[asset.sha256]))
    assert answer["Content-Disposition"].startswith("attachment")
    body(answer)


def test_a_path_outside_the_media_root_is_refused(signed_in: Client, asset: MediaAsset) -> None:
    MediaAsset.objects.filter(pk=asset.pk).update(path="../../../etc/passwd")
    assert signed_in.get(reverse("asset", args=[asset.sha256])).status_code == 404


@pytest.mark.parametrize(
    ("header", "status", "start", "stop"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=5-", 206, 5, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=0-99999999", 206, 0, None),
        ("bytes=0-1,5-6", 200, 0, None),
        ("lines=1-2", 200, 0, None),
        ("bytes=-", 200, 0, None),
    ],
)
def test_byte_ranges(
    signed_in: Client, asset: MediaAsset, header: str, status: int, start: int, stop: int | None
) -> None:
    url = reverse("asset", args=[asset.sha256])
    whole = body(signed_in.get(url))
    answer = signed_in.get(url, headers={"Range": header})
    assert answer.status_code == status
    part = body(answer)
    assert part == whole[start:stop]
    assert int(answer["Content-Length"]) == len(part)


def test_a_range_beyond_the_end_is_a_416(signed_in: Client, asset: MediaAsset) -> None:
    answer = signed_in.get(reverse("asset", args=[asset.sha256]), headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{asset.size}"
