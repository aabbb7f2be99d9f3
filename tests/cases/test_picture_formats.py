"""Pictures of telephones, scanners and old programs: the guard and people see the same, upright."""

import base64
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import Item, MediaAsset
from annotation.operations.retention import prune
from annotation.status import ItemStatus
from guardapp.guard.media.decode import Decoded, decode, load_seen
from guardapp.guard.media.sniff import sniff
from guardapp.guard.media.values import WHOLE
from guardapp.guard.taxonomy import MediaKind
from tests.annotation.predictions.test_predict import pending, predict
from tests.annotation.predictions.test_predict_media import attach
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import default_queue, for_members_only, make_user, production
from tests.guard.media.checks import STARTER, near, pixel, refusal
from tests.guard.media.heif_made import heic
from tests.guard.media.samples import BLUE, GREEN, RED, WHITE, quarters

CORNERS = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
COLOURS = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE}
# what EXIF says of the picture, and the corners of `quarters` that are then shown: RG above, BW below
UPRIGHT = {1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB"}


def corners(decoded: Decoded, frame: int = 0) -> str:
    shown = [pixel(decoded, x, y, frame) for x, y in CORNERS]
    return "".join(next((name for name, colour in COLOURS.items() if near(one, colour)), "?") for one in shown)


def seen(tmp_path: Path, content: bytes) -> Decoded:
    (tmp_path / "upload").write_bytes(content)
    return decode(tmp_path / "upload", tmp_path / "out", STARTER)


def written(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (picture or quarters(320, 160)).save(buffer, kind, **options)
    return buffer.getvalue()


def with_exif(kind: str, orientation: int, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return written(kind, exif=exif, **options)


STILLS = {
    "image/heic": lambda: heic(quarters(320, 160)),
    "image/tiff": lambda: written("TIFF", compression="tiff_lzw"),
    "image/bmp": lambda: written("BMP"),
    "image/avif": lambda: written("AVIF"),
}


@pytest.mark.parametrize("mime", STILLS)
def test_each_format_is_known_by_its_content_and_seen(tmp_path: Path, mime: str) -> None:
    content = STILLS[mime]()
    assert sniff(content) == (MediaKind.IMAGE, mime)
    decoded = seen(tmp_path, content)
    assert (corners(decoded), decoded.seen.kind, decoded.mime) == ("RGBW", MediaKind.IMAGE, mime)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"heim", b"heis", b"mif1", b"hevc", b"msf1"])
def test_a_heif_picture_is_read_under_every_brand(tmp_path: Path, brand: bytes) -> None:
    content = heic(quarters(320, 160), brand=brand)
    assert sniff(content) == (MediaKind.IMAGE, "image/heic")
    assert corners(seen(tmp_path, content)) == "RGBW"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_followed_in_the_formats_where_browsers_follow_it(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    decoded = seen(tmp_path, with_exif(kind, orientation))
    assert corners(decoded) == UPRIGHT[orientation]
    assert (decoded.width > decoded.height) == (orientation < 5)
    assert (decoded.source_width, decoded.source_height) == (320, 160)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_in_webp_the_picture_stays_as_it_is_coded(tmp_path: Path, orientation: int) -> None:
    assert corners(seen(tmp_path, with_exif("WEBP", orientation))) == "RGBW"


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_heic_picture_that_says_its_orientation_in_exif_and_in_boxes_is_turned_once(
    tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    pillow_heif.from_pillow(quarters(320, 160)).save(buffer, exif=exif.tobytes())
    assert corners(seen(tmp_path, buffer.getvalue())) == UPRIGHT[orientation]


def test_orientation_in_xmp_is_not_followed(tmp_path: Path) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    for kind in ("JPEG", "PNG", "WEBP"):
        assert corners(seen(tmp_path, written(kind, xmp=xmp))) == "RGBW"


@pytest.mark.parametrize(
    ("turn", "mirror", "shown"),
    [(0, None, 1), (0, 1, 2), (2, None, 3), (0, 0, 4), (1, 0, 5), (3, None, 6), (1, 1, 7), (1, None, 8)],
)
def test_a_heic_picture_is_turned_and_mirrored_by_its_boxes(
    tmp_path: Path, turn: int, mirror: int | None, shown: int
) -> None:
    decoded = seen(tmp_path, heic(quarters(320, 160), turn=turn, mirror=mirror))
    assert corners(decoded) == UPRIGHT[shown]
    with Image.open(tmp_path / "out" / WHOLE) as copy:
        assert copy.size == ((320, 160) if shown < 5 else (160, 320))


def test_ten_bits_a_colour_become_eight(tmp_path: Path) -> None:
    deep = (np.asarray(quarters(64, 64)).astype(np.uint16) * 257).tobytes()
    buffer = io.BytesIO()
    pillow_heif.from_bytes(mode="RGB;16", size=(64, 64), data=deep).save(buffer, quality=95)
    assert buffer.getvalue()[8:12] == b"heix"
    assert corners(seen(tmp_path, buffer.getvalue())) == "RGBW"


def test_grey_and_colour_tiffs_of_every_depth_are_seen(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 128, dtype=np.uint16), (128, 1))
    pictures = {
        "sixteen bits": Image.fromarray(ramp),
        "floating": Image.fromarray(ramp.astype(np.float32) / 65_535),
        "bilevel": Image.fromarray((ramp > 32_767).astype(np.uint8) * 255).convert("1"),
    }
    for what, picture in pictures.items():
        decoded = seen(tmp_path, written("TIFF", picture))
        assert pixel(decoded, 0.1, 0.5)[0] < 60 and pixel(decoded, 0.9, 0.5)[0] > 190, what
    for picture in (quarters(64, 64).quantize(8), quarters(64, 64).convert("CMYK")):
        assert corners(seen(tmp_path, written("TIFF", picture))) == "RGBW"


def test_of_several_pages_the_first_is_seen_and_their_number_is_kept(tmp_path: Path) -> None:
    pages = [quarters(64, 64), Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64))]
    decoded = seen(tmp_path, written("TIFF", pages[0], save_all=True, append_images=pages[1:]))
    assert (corners(decoded), decoded.source_frames) == ("RGBW", 3)
    burst = pillow_heif.HeifFile()
    for page in pages:
        burst.add_from_pillow(page)
    buffer = io.BytesIO()
    burst.save(buffer)
    assert seen(tmp_path, buffer.getvalue()).source_frames == 3


@pytest.mark.parametrize("mime", STILLS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_picture_that_breaks_off_is_refused_and_says_so(tmp_path: Path, mime: str, share: float) -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    content = {
        "image/heic": lambda: heic(noise),
        "image/tiff": lambda: written("TIFF", noise),
        "image/bmp": lambda: written("BMP", noise),
        "image/avif": lambda: written("AVIF", noise),
    }[mime]()
    (tmp_path / "upload").write_bytes(content[: int(len(content) * share)])
    assert refusal(tmp_path / "upload", tmp_path / "out").code in ("media_truncated", "media_corrupt")


def test_claims_of_a_huge_size_cost_nothing(tmp_path: Path) -> None:
    header = b"BM" + bytes(12) + (40).to_bytes(4, "little") + (60_000).to_bytes(4, "little") * 2 + b"\1\0\x18\0"
    huge = bytearray(written("TIFF", Image.new("1", (8, 8))))
    for tag in (256, 257):
        at = huge.index(tag.to_bytes(2, "little") + b"\x04\0") if tag.to_bytes(2, "little") + b"\x04\0" in huge else -1
        at = at if at >= 0 else huge.index(tag.to_bytes(2, "little") + b"\x03\0")
        huge[at + 2 : at + 12] = b"\x04\0\1\0\0\0" + (60_000).to_bytes(4, "little")
    for content in (header + bytes(2_000), bytes(huge)):
        (tmp_path / "upload").write_bytes(content)
        began = time.monotonic()
        assert refusal(tmp_path / "upload", tmp_path / "out").code == "media_too_large"
        assert time.monotonic() - began < 5


# From the sender to people


def predicted(content: bytes, settings: Settings) -> Item:
    settings.ROLLOUTS = 0
    [item] = pending(1, modality="image")
    attach(item, content)
    predict(ScriptedEngine(), production())
    item.refresh_from_db()
    assert item.prediction is not None
    return item


@pytest.mark.django_db
@pytest.mark.parametrize("mime", ["image/heic", "image/tiff"])
def test_people_see_a_copy_of_what_browsers_cannot_show(client: Client, settings: Settings, mime: str) -> None:
    item = predicted(STILLS[mime](), settings)
    sha256 = MediaAsset.objects.get().sha256
    copy, original = reverse("asset_copy", args=[sha256]), reverse("asset", args=[sha256])
    assert client.get(copy).status_code == 302  # to the sign-in
    client.force_login(make_user())
    page = client.get(reverse("item", args=[item.pk])).content.decode()
    assert f'src="{copy}"' in page and f'src="{original}"' not in page
    answer = client.get(copy)
    assert answer["Content-Type"] == "image/jpeg" and answer["Content-Security-Policy"].startswith("sandbox")
    with Image.open(io.BytesIO(b"".join(answer))) as shown:
        assert shown.size == (320, 160)
    whole = client.get(original)
    assert whole["Content-Disposition"].startswith("attachment")
    b"".join(whole)


@pytest.mark.django_db
def test_copies_and_frames_are_for_those_who_may_see_the_original(client: Client, settings: Settings) -> None:
    predicted(STILLS["image/heic"](), settings)
    for_members_only(default_queue(), make_user())
    client.force_login(make_user())
    sha256 = MediaAsset.objects.get().sha256
    for url in (
        reverse("asset", args=[sha256]),
        reverse("asset_copy", args=[sha256]),
        reverse("asset_frame", args=[sha256, 0]),
    ):
        assert client.get(url).status_code == 403


@pytest.mark.django_db
def test_people_are_told_of_pages_that_the_guard_did_not_see(client: Client, settings: Settings) -> None:
    pages = [quarters(64, 64)] * 4
    item = predicted(written("TIFF", pages[0], save_all=True, append_images=pages[1:]), settings)
    client.force_login(make_user())
    page = client.get(reverse("item", args=[item.pk])).content.decode()
    assert "The guard saw page 1 of 4." in page


@pytest.mark.django_db
def test_the_copy_goes_with_the_original_and_the_frames_stay(settings: Settings) -> None:
    settings.RETENTION_DAYS = {"media": 1}
    item = predicted(STILLS["image/heic"](), settings)
    Item.objects.update(status=ItemStatus.REVIEWED)
    MediaAsset.objects.update(created_at="2020-01-01T00:00:00Z")
    assert item.prediction is not None
    folder = Path(settings.MEDIA_ROOT) / item.prediction.media_seen[0]["folder"]
    assert (folder / WHOLE).is_file()
    assert prune(only="media") == {"media": 1}
    assert not (folder / WHOLE).exists() and load_seen(folder).seen.frames


@pytest.mark.django_db
def test_frames_of_an_item_that_the_guard_could_not_judge_are_shown(client: Client, settings: Settings) -> None:
    item = predicted(STILLS["image/heic"](), settings)
    Item.objects.update(prediction=None, status=ItemStatus.PREDICTION_FAILED)
    client.force_login(make_user())
    sha256 = MediaAsset.objects.get().sha256
    assert reverse("asset_copy", args=[sha256]) in client.get(reverse("item", args=[item.pk])).content.decode()
    answer = client.get(reverse("asset_frame", args=[sha256, 0]))
    assert answer["Content-Type"] == "image/png"
    b"".join(answer)
    assert client.get(reverse("asset_frame", args=[sha256, 1])).status_code == 404


@pytest.mark.django_db
@pytest.mark.urls("annotation.api_urls")
def test_an_svg_is_refused_with_what_to_send_instead(sender: APIClient) -> None:
    drawing = base64.b64encode(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>').decode()
    row = {"external_id": "a", "source": "test", "media": [f"data:image/svg+xml;base64,{drawing}"]}
    answer = sender.post("/api/v1/items", row, format="json")
    assert (
        answer.status_code == 422 and "SVG" in answer.content.decode() and "Send JPEG, PNG" in answer.content.decode()
    )
