"""One row that cannot be stored costs only itself, whatever is wrong with it; its error names the field and the fix."""

import gzip
import json

import pytest
from django.test import Client

from annotation.database.storable import DEEPEST, cleaned, why_not_json, why_not_text
from annotation.ingest.jsonl import ingest_jsonl
from annotation.models import Item
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from tests.factories import default_queue, make_user

GOOD = '{"external_id": "good", "prompt": "fine"}'
DEEP = '{"external_id": "deep", "prompt": "ok", "metadata": {"a": ' + "[" * 300 + "]" * 300 + "}}"
BAD = {
    "half of a character": (r'{"external_id": "x", "prompt": "cut \ud83d"}', "/prompt", "half of a character (U+D83D"),
    "half of one in a key": (r'{"external_id": "x", "prompt": "p", "metadata": {"\udc00": 1}}', "/metadata", "a key"),
    "NaN": ('{"external_id": "x", "prompt": "ok", "metadata": {"score": NaN}}', "/metadata/score", "finite"),
    "Infinity": ('{"external_id": "x", "prompt": "ok", "metadata": {"a": [1, -Infinity]}}', "/metadata/a/1", "finite"),
    "NUL": (r'{"external_id": "x", "prompt": "a\u0000b"}', "/prompt", "NUL character (U+0000) at position 1"),
    "NUL in metadata": (r'{"external_id": "x", "prompt": "a", "metadata": {"n": "\u0000"}}', "/metadata/n", "NUL"),
    "a long number": (
        '{"external_id": "x", "prompt": "a", "metadata": {"n": 1' + "0" * 30 + ', "m": NaN}}',
        "/metadata/",
        "",
    ),
    "too deep": (DEEP, "/metadata", f"more than {DEEPEST} levels"),
}


def send(client: Client, body: bytes, **headers: str) -> tuple[int, dict[str, object]]:
    key = create_key(owner=make_user(Role.LEAD), name="k", scopes=[ApiScope.ITEMS_WRITE])
    answer = client.post(
        "/api/v1/items",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {key.secret}", **headers},
    )
    return answer.status_code, json.loads(answer.content)


@pytest.mark.django_db
@pytest.mark.parametrize(("row", "pointer", "words"), BAD.values(), ids=BAD)
def test_the_api_takes_the_others_and_names_the_field(client: Client, row: str, pointer: str, words: str) -> None:
    default_queue()
    status, body = send(client, f"[{GOOD}, {row}]".encode())
    assert (status, body["created"], body["rejected"]) == (202, 1, 1)
    refused = body["results"][1]["errors"][0]  # type: ignore[index]
    assert refused["pointer"].startswith(pointer) and words in refused["detail"]
    assert [item.external_id for item in Item.objects.all()] == ["good"]


@pytest.mark.django_db
@pytest.mark.parametrize(("row", "pointer", "words"), BAD.values(), ids=BAD)
def test_a_file_takes_the_others_and_names_the_line(row: str, pointer: str, words: str) -> None:
    default_queue()
    report = ingest_jsonl(lines=[GOOD.encode(), row.encode()])
    assert (report.created, [line for line, _ in report.rejected]) == (1, [2])
    assert report.rejected[0][1][0].pointer.startswith(pointer) and words in report.rejected[0][1][0].detail


@pytest.mark.django_db
def test_a_byte_that_is_not_utf8_is_reported_with_its_row(client: Client) -> None:
    default_queue()
    status, body = send(client, f'[{GOOD}, {{"external_id": "l", "prompt": "Überfall"}}]'.encode("latin-1"))
    assert (status, body["created"]) == (202, 1)
    assert "is not UTF-8: byte 0xDC at position 0" in body["results"][1]["errors"][0]["detail"]  # type: ignore[index]


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_body_in_another_encoding_is_read(client: Client, encoding: str) -> None:
    default_queue()
    status, body = send(client, f"[{GOOD}]".encode(encoding))
    assert (status, body["created"]) == (202, 1)


@pytest.mark.django_db
def test_six_characters_that_write_about_nul_are_text(client: Client) -> None:
    default_queue()
    row = {"external_id": "lit", "prompt": "ok", "metadata": {"note": r"JSON escape: \u0000 is NUL"}}
    status, _ = send(client, json.dumps(row).encode())
    assert status == 202 and Item.objects.get().metadata == row["metadata"]


def test_texts_are_judged_by_their_values() -> None:
    assert [why_not_text(text) for text in ("", "plain", r"\u0000", "🎈", "\x1b[0m")] == [""] * 5
    assert why_not_json({"a": [1, 2.5, None, True, {"b": r"\u0000"}]}) is None
    found = why_not_json({"a/b": [{"~": float("nan")}]})
    assert found is not None and found.pointer == "/a~1b/0/~0"


def test_the_pointer_to_a_place_in_a_large_value_stays_short() -> None:
    found = why_not_json({"k" * 1_000_000: {"k" * 1_000_000: ["x"] * 10_000 + ["\x00"]}})
    assert found is not None and len(found.pointer) < 300


def test_cleaning_keeps_what_people_see() -> None:
    assert cleaned("a\x00b\r\nc\rd\te\x1b[0m\ud83d🎈 é") == "ab\nc\nd\te[0m🎈 é"


@pytest.mark.django_db
def test_a_packed_body_is_no_json_and_says_so(client: Client) -> None:
    default_queue()
    status, body = send(client, gzip.compress(GOOD.encode()))
    assert status == 400 and "not JSON" in str(body["detail"])
