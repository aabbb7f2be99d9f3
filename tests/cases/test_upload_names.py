"""Names of uploaded files: the row gets the file that it names, or a refusal that says why, never another file."""

import hashlib
import io
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from annotation.ingest.jsonl import ingest_rows
from annotation.ingest.row_files import rows_of_file
from annotation.models import Item, ItemMedia
from annotation.status import Role
from tests.factories import default_queue, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("guardapp.urls")]
BOUNDARY = "a-boundary-of-its-own"
NFC, NFD = (unicodedata.normalize(form, "Café Ñandú.png") for form in ("NFC", "NFD"))


def picture(shade: int) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 255 - shade)).save(written, "PNG")
    return written.getvalue()


RED, BLUE, GREEN = picture(250), picture(5), picture(90)
Part = tuple[str, bytes]  # what stands after "form-data;", and the content


def file_part(field: str, filename: str, content: bytes) -> Part:
    return f'name="{field}"; filename="{filename}"', content


def send(sender: APIClient, media: list[str] | list[list[str]], *parts: Part, items: int = 1) -> Any:
    """Send a row for each list of media, with the parts as they are."""
    lists = [media] if media and isinstance(media[0], str) else media
    rows = [{"external_id": f"row-{n}", "prompt": "What is it?", "media": names} for n, names in enumerate(lists)]
    body = io.BytesIO()
    for head, content in (*[('name="items"', orjson.dumps(rows))] * items, *parts):
        body.write(f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n".encode())
        body.write(b"Content-Type: application/octet-stream\r\n\r\n" if "filename" in head else b"\r\n")
        body.write(content + b"\r\n")
    body.write(f"--{BOUNDARY}--\r\n".encode())
    return sender.post("/api/v1/items", body.getvalue(), content_type=f"multipart/form-data; boundary={BOUNDARY}")


def stored(number: int = 0) -> list[str]:
    media = ItemMedia.objects.filter(item=Item.objects.get(external_id=f"row-{number}")).order_by("position")
    return list(media.values_list("asset__sha256", flat=True))


def sums(*contents: bytes) -> list[str]:
    return [hashlib.sha256(content).hexdigest() for content in contents]


def refusal(answer: Any) -> str:
    assert answer.status_code == 422, answer.content
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/0/media/0"
    assert not Item.objects.exists()
    return str(error["detail"])


def test_two_files_of_one_base_name_are_told_apart_by_field_and_by_path(sender: APIClient) -> None:
    parts = file_part("first", "a/pic.png", RED), file_part("second", "b/pic.png", BLUE)
    assert send(sender, [["second", "first"], ["b/pic.png", "a/pic.png"]], *parts).status_code == 202
    assert stored(0) == stored(1) == sums(BLUE, RED)


@pytest.mark.parametrize(
    "names", [("pic.png", "pic.png"), ("a/pic.png", "b/pic.png"), ("C:\\x\\pic.png", "/b/pic.png")]
)
def test_a_base_name_that_two_files_have_is_refused(sender: APIClient, names: tuple[str, str]) -> None:
    parts = file_part("first", names[0].replace("\\", "\\\\"), RED), file_part("second", names[1], BLUE)
    said = refusal(send(sender, ["pic.png"], *parts))
    assert "2 of the uploaded files have this name" in said and "field name of its own" in said


def test_the_same_field_name_twice_is_refused_and_their_file_names_still_work(sender: APIClient) -> None:
    parts = file_part("file", "one.png", RED), file_part("file", "two.png", BLUE)
    assert "2 of the uploaded files" in refusal(send(sender, ["file"], *parts))
    assert send(sender, ["two.png", "one.png"], *parts).status_code == 202
    assert stored() == sums(BLUE, RED)


def test_a_name_that_is_one_file_s_field_and_another_s_file_name_is_refused(sender: APIClient) -> None:
    parts = file_part("1", "2", RED), file_part("2", "1", BLUE)
    assert "2 of the uploaded files" in refusal(send(sender, ["1"], *parts))


def test_composed_and_decomposed_names_are_two_files_and_one_alone_answers_to_both(sender: APIClient) -> None:
    assert NFC != NFD
    both = file_part("x", NFC, RED), file_part("y", NFD, BLUE)
    assert send(sender, [NFD, NFC], *both).status_code == 202
    assert stored() == sums(BLUE, RED)
    Item.objects.all().delete()
    assert send(sender, [NFC], file_part("x", NFD, GREEN)).status_code == 202
    assert stored() == sums(GREEN)


def test_a_third_form_of_a_name_that_two_files_have_in_others_is_refused(sender: APIClient) -> None:
    mixed = NFC[:4] + NFD[5:]
    assert mixed not in (NFC, NFD) and unicodedata.normalize("NFC", mixed) == NFC
    said = refusal(send(sender, [mixed], file_part("x", NFC, RED), file_part("y", NFD, BLUE)))
    assert "2 of the uploaded files" in said


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('filename="a%22b.png"', 'a"b.png'),  # as browsers write it
        ('filename="a\\"b.png"', 'a"b.png'),  # as curl writes it
        ('filename="a\\\\b.png"', "a\\b.png"),
        ('filename="a%0D%0Ab.png"', "a\r\nb.png"),
        ('filename="100%.png"', "100%.png"),
        ('filename="a%2Fb.png"', "a%2Fb.png"),
        ('filename="a;b=c.png"', "a;b=c.png"),
        ('filename="a&amp;b.png"', "a&amp;b.png"),
        ('filename="a\u200bb.png"', "a\u200bb.png"),  # cannot be printed
        ('filename=" b .png"', " b .png"),
        ("filename=plain.png", "plain.png"),
        ("filename*=UTF-8''na%C3%AFve%20%E2%9C%93.png", "naïve ✓.png"),
        ("filename=\"naive.png\"; filename*=UTF-8''na%C3%AFve.png", "naïve.png"),
        ('filename=".."', "photo"),  # by its field
        ('filename="%s.png"' % ("n" * 400), "n" * 400 + ".png"),
    ],
)
def test_a_name_of_any_characters_finds_its_file(sender: APIClient, written: str, name: str) -> None:
    answer = send(sender, [name], file_part("other", "other.png", BLUE), (f'name="photo"; {written}', RED))
    assert answer.status_code == 202, answer.content
    assert stored() == sums(RED)


@pytest.mark.parametrize("field", ["a%22b", "a;b", "a&amp;b", "ü" * 60, "a[0]", "0"])
def test_a_field_name_of_any_characters_finds_its_file(sender: APIClient, field: str) -> None:
    answer = send(sender, [field], file_part("other", "other.png", BLUE), file_part(field, "x.png", RED))
    assert answer.status_code == 202 and stored() == sums(RED)


def test_names_that_differ_in_case_are_two_files(sender: APIClient) -> None:
    parts = file_part("x", "Pic.png", RED), file_part("y", "pic.PNG", BLUE)
    assert send(sender, ["pic.PNG", "Pic.png"], *parts).status_code == 202
    assert stored() == sums(BLUE, RED)
    Item.objects.all().delete()
    assert "not among the uploaded files" in refusal(send(sender, ["PIC.PNG"], *parts))


def test_rows_sent_twice_in_one_body_are_refused(sender: APIClient) -> None:
    answer = send(sender, ["pic.png"], file_part("x", "pic.png", RED), items=2)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/items", "detail": "must be one part with all rows."}]


def test_a_bad_name_takes_no_other_row_with_it(sender: APIClient) -> None:
    parts = file_part("file", "one.png", RED), file_part("file", "two.png", BLUE)
    answer = send(sender, [["file"], ["two.png"], ["nothing.png"]], *parts)
    assert [row["status"] for row in answer.json()["results"]] == ["rejected", "created", "rejected"]
    assert stored(1) == sums(BLUE)


def ingested(rows: bytes, folder: Path) -> list[str]:
    report = ingest_rows(rows=rows_of_file(io.BytesIO(rows)), source="test", media_root=folder)
    return [error.detail for _, errors in report.rejected for error in errors]


def test_a_folder_s_files_are_found_in_another_unicode_form_unless_two_are_meant(tmp_path: Path) -> None:
    inner = tmp_path / unicodedata.normalize("NFD", "Fotos é")
    inner.mkdir()
    (inner / NFD).write_bytes(RED)
    row = {"external_id": "row-0", "prompt": "?", "media": [f"Fotos é/{NFC}"]}
    assert ingested(orjson.dumps(row), tmp_path) == []
    assert stored() == sums(RED)
    (inner / NFC).write_bytes(BLUE)
    assert ingested(orjson.dumps(row | {"external_id": "row-1"}), tmp_path) == []
    assert stored(1) == sums(BLUE)
    row["media"] = [f"Fotos é/{NFC[:4] + NFD[5:]}"]
    [said] = ingested(orjson.dumps(row | {"external_id": "row-2"}), tmp_path)
    assert "2 files in the media folder have this name in other Unicode forms" in said


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names", [("rows.jsonl", "rows.jsonl"), (f"{NFC}.jsonl", f"{NFD}.jsonl"), ("A.jsonl", "a.jsonl")]
)
def test_every_member_of_an_archive_is_read_whatever_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, orjson.dumps({"external_id": f"row-{number}", "prompt": f"Text {number}"}))
    assert ingested(packed.getvalue(), tmp_path) == []
    assert sorted(Item.objects.values_list("prompt", flat=True)) == ["Text 0", "Text 1"]


def test_two_files_on_the_upload_page_are_refused(client: Client) -> None:
    client.force_login(make_user(Role.LEAD))
    default_queue()
    files = [io.BytesIO(orjson.dumps({"external_id": f"row-{n}", "prompt": "?"})) for n in range(2)]
    answer = client.post("/upload/", {"file": files, "queue": "default"})
    assert answer.status_code == 422 and "Several files came at once" in answer.text
    assert not Item.objects.exists()
