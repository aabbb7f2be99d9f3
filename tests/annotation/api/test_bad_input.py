"""Every kind of bad input: what is said, which field it names, and that nothing else suffers."""

import base64
import io
import uuid
from typing import Any

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from rest_framework.test import APIClient

from annotation.models import Item

pytestmark = [pytest.mark.django_db, pytest.mark.urls("annotation.api_urls")]
PDF = b"%PDF-1.7\n%a document"


def send(client: APIClient, *rows: Any) -> Any:
    return client.post("/api/v1/items", {"items": list(rows)}, format="json")


def row(**fields: Any) -> dict[str, Any]:
    return {"external_id": uuid.uuid4().hex, "source": "test", "prompt": "How do I bake bread?", **fields}


def errors_of(client: APIClient, *rows: Any) -> list[tuple[str, str]]:
    """The errors of a request in which no row can be taken."""
    answer = send(client, *rows)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert Item.objects.count() == 0
    return [(error["pointer"], error["detail"]) for error in answer.json()["errors"]]


def test_an_unknown_field_is_named_with_the_closest_known_one(sender: APIClient) -> None:
    assert errors_of(sender, row(promt="x")) == [("/0/promt", "is not a known field; did you mean 'prompt'?")]


def test_a_wrong_modality_names_what_was_found(sender: APIClient) -> None:
    [(pointer, detail)] = errors_of(sender, row(modality="video"))
    assert pointer == "/0/modality"
    assert "the content is 'text': a prompt, 0 image(s) and 0 video(s)" in detail


def test_a_modality_that_is_none_lists_those_that_are(sender: APIClient) -> None:
    [(pointer, detail)] = errors_of(sender, row(modality="audio"))
    assert pointer == "/0/modality"
    assert "image, text, text-image, video" in detail


def test_media_that_was_not_uploaded_is_named(sender: APIClient) -> None:
    [(pointer, detail)] = errors_of(sender, row(media=["cat.png"]))
    assert pointer == "/0/media/0"
    assert "'cat.png', but no file came with it" in detail


def test_media_that_is_missing_among_the_uploads_is_named(sender: APIClient, png: bytes) -> None:
    answer = sender.post(
        "/api/v1/items",
        {"items": orjson.dumps([row(media=["cat.png"])]).decode(), "dog.png": SimpleUploadedFile("dog.png", png)},
        format="multipart",
    )
    assert answer.status_code == 422
    assert "not among the uploaded files" in answer.json()["errors"][0]["detail"]


def test_media_of_a_wrong_type_names_what_was_found(sender: APIClient) -> None:
    answer = sender.post(
        "/api/v1/items",
        {
            "items": orjson.dumps([row(media=["cat.png"]), row()]).decode(),
            "cat.png": SimpleUploadedFile("cat.png", PDF, "image/png"),
        },
        format="multipart",
    )
    assert answer.status_code == 202
    bad, good = answer.json()["results"]
    assert (bad["status"], good["status"]) == ("rejected", "created")
    assert bad["errors"][0]["pointer"] == "/media/0"
    assert "this is a PDF document" in bad["errors"][0]["detail"]


def test_empty_media_is_refused(sender: APIClient) -> None:
    [(_, detail)] = errors_of(sender, row(media=["data:image/png;base64,"]))
    assert "empty" in detail


@pytest.mark.parametrize(
    "url", ["http://example.org/a.png", "https://169.254.169.254/", "file:///etc/passwd", "//example.org/a.png"]
)
def test_urls_are_refused_and_never_fetched(sender: APIClient, url: str) -> None:
    [(pointer, detail)] = errors_of(sender, row(media=[url]))
    assert pointer == "/0/media/0"
    assert "fetching by URL is not offered" in detail


def test_a_data_url_that_is_not_base64_is_refused(sender: APIClient) -> None:
    assert "not base64" in errors_of(sender, row(media=["data:image/png;base64,@@@"]))[0][1]


def test_fifty_megabytes_of_text_are_refused_for_their_row_only(sender: APIClient) -> None:
    answer = send(sender, row(prompt="x" * 50_000_000), row())
    assert answer.status_code == 202
    huge, small = answer.json()["results"]
    assert (huge["status"], small["status"]) == ("rejected", "created")
    assert huge["errors"] == [{"pointer": "/prompt", "detail": "has 50,000,000 characters, the limit is 200,000."}]


def test_a_body_above_the_limit_is_refused(sender: APIClient, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    answer = send(sender, row(prompt="x" * 1_000))
    assert (answer.status_code, answer.json()["title"]) == (413, "Request Entity Too Large")
    assert answer.json()["type"] == "urn:guardapp:problem:body_too_large"


def test_an_upload_above_the_limit_is_refused(sender: APIClient, png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.api.items.MAX_UPLOAD_BYTES", 100)
    assert (
        sender.post("/api/v1/items", {"items": "[]", "a.png": io.BytesIO(png)}, format="multipart").status_code == 413
    )


def test_duplicate_ids_in_one_batch_are_named(sender: APIClient) -> None:
    answer = send(sender, row(external_id="a"), row(external_id="a", prompt="Another"), row(external_id="b"))
    assert [result["status"] for result in answer.json()["results"]] == ["created", "rejected", "created"]
    assert answer.json()["results"][1]["errors"] == [
        {"pointer": "/external_id", "detail": "is a duplicate: row 0 of this batch has the same id and other content."}
    ]


def test_a_nul_character_is_refused_in_text_and_in_metadata(sender: APIClient) -> None:
    errors = errors_of(sender, row(prompt="a\x00b"), row(metadata={"a": "b\x00"}))
    assert [pointer for pointer, _ in errors] == ["/0/prompt", "/1/metadata/a"]
    assert all("NUL" in detail for _, detail in errors)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"external_id": ""}, "/0/external_id"),
        ({"external_id": 7}, "/0/external_id"),
        ({"external_id": "x" * 201}, "/0/external_id"),
        ({"prompt": 5}, "/0/prompt"),
        ({"prompt": " "}, "/0"),
        ({"media": "a.png"}, "/0/media"),
        ({"media": [5]}, "/0/media/0"),
        ({"media": ["a.png"] * 17}, "/0/media"),
        ({"metadata": []} | {"metadata": [1]}, "/0/metadata"),
        ({"metadata": {"a": "x" * 70_000}}, "/0/metadata"),
        ({"reported_at": "yesterday"}, "/0/reported_at"),
        ({"reported_at": "2025-13-45T00:00:00Z"}, "/0/reported_at"),
        ({"source": "x" * 101}, "/0/source"),
        ({"a/b~c": 1}, "/0/a~1b~0c"),
    ],
)
def test_each_field_that_cannot_be_taken_is_named(sender: APIClient, fields: dict[str, Any], pointer: str) -> None:
    assert errors_of(sender, row() | fields)[0][0] == pointer


@pytest.mark.parametrize("bad", [None, 5, "text", [], True])
def test_a_row_that_is_no_object_is_refused(sender: APIClient, bad: Any) -> None:
    assert errors_of(sender, bad) == [("/0", "is not an object.")]


def test_coop_rows_name_the_field_inside_data(sender: APIClient) -> None:
    errors = errors_of(sender, {"external_id": "a", "type": "video", "data": {"txt": "x"}})
    assert [pointer for pointer, _ in errors] == ["/0/data/txt", "/0/type"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 422),
        (b"[]", 422),
        # one row that is a text: it is refused as a row
        (b'"\xff"', 422),
        (b'{"items": 5}', 422),
        (b'{"items": [], "extra": 1}', 422),
        (b'"\\ud800"', 422),
    ],
)
def test_a_body_that_is_no_batch_is_a_problem(sender: APIClient, body: bytes, status: int) -> None:
    answer = sender.post("/api/v1/items", body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_another_content_type_is_a_problem(sender: APIClient) -> None:
    answer = sender.post("/api/v1/items", b"<items/>", content_type="application/xml")
    assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")


def test_a_batch_of_more_than_a_thousand_rows_is_refused_whole(sender: APIClient) -> None:
    assert send(sender, *[row() for _ in range(1_001)]).status_code == 413
    assert Item.objects.count() == 0


def test_an_id_that_is_taken_is_a_conflict(sender: APIClient) -> None:
    send(sender, row(external_id="a"))
    assert send(sender, row(external_id="a", prompt="Another")).status_code == 409


def test_a_picture_that_only_claims_to_be_one_is_recognised_by_its_bytes(sender: APIClient) -> None:
    fake = base64.b64encode(b"<svg onload=alert(1)>").decode()
    assert "HTML page, SVG or XML" in errors_of(sender, row(media=[f"data:image/png;base64,{fake}"]))[0][1]


def test_a_part_without_rows_is_a_problem(sender: APIClient, png: bytes) -> None:
    answer = sender.post("/api/v1/items", {"a.png": io.BytesIO(png)}, format="multipart")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/items")


@pytest.mark.parametrize("name", ["metadata", "reason"])
def test_an_object_nested_too_deep_is_refused_for_its_row_only(sender: APIClient, name: str) -> None:
    deep: dict[str, Any] = {}
    for _ in range(600):
        deep = {"a": deep}
    answer = send(sender, row(**{name: deep}), row())
    assert answer.status_code == 202
    assert [error["pointer"] for error in answer.json()["results"][0]["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_no_calendar_holds_in_utc_is_refused_for_its_row_only(sender: APIClient, moment: str) -> None:
    answer = send(sender, row(reported_at=moment), row())
    assert answer.status_code == 202
    assert [error["pointer"] for error in answer.json()["results"][0]["errors"]] == ["/reported_at"]


def test_rows_in_a_file_have_the_limit_of_rows_in_a_body(sender: APIClient, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    rows = SimpleUploadedFile("rows.json", orjson.dumps([row(prompt="x" * 2_000)]))
    assert sender.post("/api/v1/items", {"items": rows}, format="multipart").status_code == 413
