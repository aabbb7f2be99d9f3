"""A conversation is content: its last exchange is judged, and what came before goes with it everywhere."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from PIL import Image
from rest_framework.test import APIClient

from annotation.ingest.jsonl import ingest_rows
from annotation.ingest.read_messages import MAX_MESSAGES
from annotation.ingest.read_rows import read_row
from annotation.ingest.row_files import rows_of_file
from annotation.ingest.store_items import ingest_items
from annotation.ingest.values import IncomingItem, RowProblem, RowStatus
from annotation.models import Item
from annotation.people.api_keys import create_key
from annotation.status import ApiScope, Role
from tests.factories import default_policy, default_queue, make_user

USER, ANSWER, LAST = "How do I cut bread?", "With a knife.", "And a rope?"
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": USER},
    {"role": "assistant", "content": ANSWER},
    {"role": "user", "content": LAST},
    {"role": "assistant", "content": "With a saw."},
]
EARLIER = [
    {"role": "system", "text": "Be brief."},
    {"role": "user", "text": USER},
    {"role": "assistant", "text": ANSWER},
]


def picture(colour: str = "red") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(written, "PNG")
    return written.getvalue()


def url(colour: str = "red") -> str:
    return "data:image/png;base64," + base64.b64encode(picture(colour)).decode()


def image(colour: str = "red") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url(colour)}}


def read(messages: object, **row: object) -> IncomingItem:
    item = read_row({"external_id": "a", "messages": messages, **row})
    assert isinstance(item, IncomingItem), item
    return item


def refused(messages: object, **row: object) -> list[tuple[str, str]]:
    problem = read_row({"external_id": "a", "messages": messages, **row})
    assert isinstance(problem, RowProblem)
    return [(error.pointer, error.detail) for error in problem.errors]


@pytest.fixture
def sender(db: None) -> APIClient:
    default_queue()
    default_policy()
    key = create_key(owner=make_user(Role.LEAD), name="k", scopes=[ApiScope.ITEMS_WRITE, ApiScope.ITEMS_READ])
    return APIClient(headers={"Authorization": f"Bearer {key.secret}"})


def test_the_last_exchange_is_judged_and_the_rest_comes_before_it() -> None:
    item = read(MESSAGES)
    assert (item.prompt, item.response) == (LAST, "With a saw.")
    assert list(item.messages) == EARLIER


@pytest.mark.parametrize(
    ("messages", "prompt", "response", "earlier"),
    [
        ([{"role": "user", "content": "a"}], "a", None, []),
        ([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}], "a", None, [("system", "b")]),
        ([{"role": "developer", "content": "b"}, {"role": "user", "content": "a"}], "a", None, [("system", "b")]),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "a"}], "a", None, [("user", "a")]),
        ([{"role": "assistant", "content": "b"}, {"role": "user", "content": "a"}], "a", None, [("assistant", "b")]),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}], "a", "", []),
        ([{"role": "user", "content": ""}, {"role": "assistant", "content": "b"}], "", "b", []),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "refusal": "No."}], "a", "No.", []),
        (
            [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "1", "content": "42"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
            ],
            "a",
            "f({})\n\nb",
            [("tool", "42")],
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
            "a\nb",
            None,
            [],
        ),
    ],
)
def test_every_order_of_roles_has_one_reading(
    messages: list[dict[str, Any]], prompt: str, response: str | None, earlier: list[tuple[str, str]]
) -> None:
    item = read(messages)
    assert (item.prompt, item.response) == (prompt, response)
    assert [(one["role"], one["text"]) for one in item.messages] == earlier


def test_media_of_the_context_come_first_and_its_messages_name_them_by_position() -> None:
    item = read(
        [
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image("red"), image("blue")]},
            {"role": "assistant", "content": "Nice."},
            {"role": "user", "content": [{"type": "input_image", "image_url": url("green")}]},
        ]
    )
    assert [medium.content for medium in item.media] == [picture("red"), picture("blue"), picture("green")]
    assert list(item.messages) == [
        {"role": "user", "text": "Look", "media": [0, 1]},
        {"role": "assistant", "text": "Nice."},
    ]
    assert (item.prompt, item.response) == ("", None)


@pytest.mark.parametrize(
    ("messages", "pointer", "words"),
    [
        ("Hello", "/messages", "must be a list"),
        ([{"role": "system", "content": "b"}], "/messages", "no message of the role user"),
        ([{"role": "user", "content": " "}], "/messages/0/content", "is empty"),
        ([{"role": "user", "content": "a"}] * (MAX_MESSAGES + 1), "/messages", "the limit is 200"),
        ([{"role": "user", "content": "a" * 100_001}] * 2, "/messages", "200,002 characters"),
        ([{"role": "user", "content": [image()] * 9}] * 2, "/messages", "18 images and videos, the limit is 16"),
        ([{"role": "user", "content": "a"}, "b"], "/messages/1", "an object"),
        ([{"content": "a"}], "/messages/0/role", "is missing"),
        ([{"role": "bot", "content": "a"}], "/messages/0/role", "Use system, developer, user"),
        ([{"role": "user", "content": 3}], "/messages/0/content", "text, or a list of parts"),
        ([{"role": "user", "contents": "a"}], "/messages/0/contents", "did you mean 'content'"),
        ([{"role": "user", "content": "a\x00"}], "/messages/0/content", "NUL character"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "/messages/0/content/0/type", "'input_audio'"),
        ([{"role": "user", "content": [{"type": ["text"]}]}], "/messages/0/content/0/type", "Use text, image_url"),
        ([{"role": "user", "content": [{"type": "text", "text": 3}]}], "/messages/0/content/0/text", "a number"),
    ],
)
def test_an_error_names_the_field_and_the_limit(messages: object, pointer: str, words: str) -> None:
    [(found, said)] = refused(messages)
    assert found == pointer and words in said


def test_an_error_in_a_part_names_the_message_and_the_part() -> None:
    messages = [*MESSAGES[:3], {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]
    for place in (None, 7, {"url": None}, {"url": "https://example.org/a.png"}, {"url": "gone.png"}):
        messages[3]["content"][1]["image_url"] = place
        [(pointer, _)] = refused(messages)
        assert pointer == "/messages/3/content/1/image_url"


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"prompt": "b"}, "/messages"),
        ({"response": "b"}, "/messages"),
        ({"media": [url()]}, "/messages"),
        ({"request": "b"}, "/messages"),
    ],
)
def test_messages_beside_other_content_are_refused(more: dict[str, object], pointer: str) -> None:
    assert (pointer, f"cannot be given together with {next(iter(more))}: leave out the one or the other.") in refused(
        MESSAGES, **more
    )


def test_an_empty_list_of_messages_is_none() -> None:
    assert read([], prompt="b").prompt == "b"
    assert refused([]) == [("", "has no content: give a prompt, media or messages.")]


@pytest.mark.parametrize("count", [1, 3])
def test_the_api_takes_conversations_and_answers_with_them(sender: APIClient, count: int) -> None:
    rows = [{"external_id": f"c{number}", "messages": MESSAGES} for number in range(count)]
    answer = sender.post("/api/v1/items", rows[0] if count == 1 else rows, format="json")
    assert answer.status_code == 202 and answer.json()["created"] == count
    stored = sender.get(f"/api/v1/items/{answer.json()['results'][0]['id']}").json()
    assert (stored["prompt"], stored["response"], stored["messages"]) == (LAST, "With a saw.", EARLIER)


def test_files_sent_beside_the_rows_are_named_in_messages(sender: APIClient) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "a.png"}}]
    rows = json.dumps([{"external_id": "a", "messages": [{"role": "user", "content": parts}]}])
    upload = SimpleUploadedFile("a.png", picture(), "image/png")
    answer = sender.post("/api/v1/items", {"items": rows, "a.png": upload}, format="multipart")
    assert answer.status_code == 202, answer.json()
    assert Item.objects.get().modality == "image"


@pytest.mark.django_db
def test_every_shape_of_a_row_takes_messages() -> None:
    default_queue()
    shapes: list[dict[str, Any]] = [
        {"external_id": "own", "messages": MESSAGES},
        {"messages": MESSAGES},
        {"external_id": "coop", "type": "chat", "data": {"messages": MESSAGES}},
        {"id": "chats/1", "messages": MESSAGES, "prompt_label": "harmful"},
    ]
    results = ingest_items(rows=[read_row(row) for row in shapes])
    assert [result.status for result in results] == [RowStatus.CREATED] * 4
    assert [one.messages for one in Item.objects.all()] == [EARLIER] * 4
    [again] = ingest_items(rows=[read_row(shapes[1])])
    assert again.status == RowStatus.EXISTS


@pytest.mark.django_db
def test_a_cell_of_csv_holds_messages_as_json() -> None:
    default_queue()
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerows([["id", "messages"], ["a", json.dumps(MESSAGES)], ["b", "not JSON"], ["c", json.dumps("Hello")]])
    report = ingest_rows(rows=rows_of_file(io.BytesIO(table.getvalue().encode())))
    assert (report.created, report.rejected_count) == (1, 2)
    assert Item.objects.get().messages == EARLIER
    assert "messages that are not JSON" in report.rejected[0][1][0].detail
    assert report.rejected[1][1][0].pointer == "/messages"


@pytest.mark.django_db
def test_the_command_reads_conversations_with_files_of_a_folder(tmp_path: Path) -> None:
    default_queue()
    (tmp_path / "a.png").write_bytes(picture())
    parts = [{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": "b"}]
    messages = [{"role": "user", "content": parts}, *MESSAGES[1:]]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"external_id": "a", "messages": messages}))
    call_command("ingest", str(tmp_path / "rows.jsonl"), media_root=tmp_path, stdout=io.StringIO())
    item = Item.objects.get()
    assert item.messages[0] == {"role": "user", "text": "b", "media": [0]} and item.modality == "text-image"


@pytest.mark.django_db
def test_the_same_exchange_after_other_messages_is_other_content() -> None:
    default_queue()
    other = [{"role": "system", "content": "Be rude."}, *MESSAGES[1:]]
    louder = [{"role": "system", "content": "BE  brief."}, *MESSAGES[1:]]

    def send(messages: list[dict[str, Any]], external_id: str) -> RowStatus:
        return ingest_items(rows=[read(messages, external_id=external_id)])[0].status

    assert [send(MESSAGES, "a"), send(MESSAGES, "a"), send(other, "a"), send(louder, "a")] == [
        RowStatus.CREATED,
        RowStatus.EXISTS,
        RowStatus.CONFLICT,
        RowStatus.CONFLICT,
    ]
    assert [send(other, "b"), send(louder, "c"), send(MESSAGES[3:], "d")] == [RowStatus.CREATED] * 3
    a, b, c, d = (item.content_hash for item in Item.objects.order_by("pk"))
    assert a == c and len({a, b, d}) == 3
