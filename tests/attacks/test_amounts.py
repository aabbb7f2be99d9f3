"""A sender decides how much is sent, never how long the answer takes: work grows no faster than the body."""

import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client
from rest_framework.exceptions import APIException

from annotation.api.moderation import OWN_FIELDS, _object
from annotation.api.shapes.reviews import DraftInput, ReviewInput
from annotation.ingest.jsonl import MOST_REJECTED, ingest_rows
from annotation.ingest.read_fields import MOST_UNKNOWN, FieldReader
from annotation.ingest.read_rows import read_row
from annotation.ingest.row_files import UNPACKED_ALWAYS, FileNotReadable, FileRow, UnpacksTooMuch, rows_of_file
from annotation.ingest.row_json import read_json_rows
from annotation.ingest.values import FieldError
from annotation.status import Role
from annotation.web.orjson_format import OrjsonParser
from guardapp.guard.input_block import read_input_block
from guardapp.guard.parsing import parse, parse_labels
from guardapp.guard.steps import split_steps
from guardapp.guard.word_diff import word_diff
from tests.factories import make_user
from training.recipes import SettingUnknown, checked
from training.recipes.toml import from_toml, read_toml

pytestmark = pytest.mark.django_db
SMALL, TIMES = 4_000, 8
# a small body's time is noise: what takes less than this for a large one is quick, however it grows
QUICK_S = 0.5
SLACK = 3


def taken(work: Callable[[], object]) -> float:
    """Processor seconds."""
    began = time.process_time()
    try:
        work()
    except (FileNotReadable, SettingUnknown, ValueError, APIException):
        pass
    return time.process_time() - began


def unknown_fields(n: int) -> dict[str, Any]:
    return {f"external_if{number}": 1 for number in range(n)}


def refuse(n: int) -> None:
    FieldReader(unknown_fields(n), []).refuse_unknown(["external_id", "source", "prompt"])


def packed(text: bytes) -> io.BytesIO:
    return io.BytesIO(gzip.compress(text))


def rows(file: io.BytesIO) -> int:
    return sum(1 for _ in rows_of_file(file))


def zipped(n: int) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.jsonl", b"{}\n" * n)
    file.seek(0)
    return file


def item(**fields: Any) -> object:
    return read_row({"external_id": "a", "prompt": "b", **fields})


def as_body(value: Any) -> Any:
    return OrjsonParser().read(value if isinstance(value, bytes) else orjson.dumps(value))


SHAPES: dict[str, Callable[[int], object]] = {
    "unknown fields of a row": refuse,
    "unknown fields of a whole row": lambda n: read_row(unknown_fields(n)),
    "unknown fields of a moderation": lambda n: _object(unknown_fields(n), OWN_FIELDS),
    "unknown fields of a review": lambda n: ReviewInput(data=unknown_fields(n)).is_valid(),
    "one long unknown name": lambda n: read_row({"x" * (n * 20): 1}),
    "steps of a review": lambda n: ReviewInput(data={"steps": [{"text": "a"}] * n}).is_valid(),
    "links of a step": lambda n: ReviewInput(data={"steps": [{"links": [{}] * n}]}).is_valid(),
    "keys of a draft": lambda n: DraftInput(data={"payload": unknown_fields(n)}).is_valid(),
    "keys of metadata": lambda n: item(metadata=unknown_fields(n)),
    "nesting of metadata": lambda n: item(metadata=json.loads('{"a":' * 150 + "1" + "}" * 150) | unknown_fields(n)),
    "media of a row": lambda n: item(media=["a"] * n),
    "messages of a row": lambda n: read_row({"external_id": "a", "messages": [{"role": "user", "content": "a"}] * n}),
    "brackets of a body": lambda n: as_body(b"[" * n + b"]" * n),
    "lists in a body": lambda n: as_body([[]] * n),
    "digits of a body": lambda n: as_body(b'{"a":' + b"9" * n + b"}"),
    "numbers of a body": lambda n: as_body([2**63] * n),
    "brackets of a row": lambda n: read_json_rows(b"[" * n),
    "digits of a row": lambda n: read_json_rows(b"[" + b"9" * n + b", NaN]"),
    "objects without lines between": lambda n: rows(io.BytesIO(b"[" + b"{}," * n * 4)),
    "one object after the other": lambda n: rows(io.BytesIO(b"{}" * n * 4)),
    "commas": lambda n: rows(io.BytesIO(b"[" + b"," * n * 20)),
    "blank lines": lambda n: rows(io.BytesIO(b'{"a":1}' + b"\n" * n * 20)),
    "an object that never ends": lambda n: rows(io.BytesIO(b'[{"a": "' + b"b" * n * 40)),
    "lists that never end": lambda n: rows(io.BytesIO(b"[" + b"[1," * n * 4)),
    "columns": lambda n: rows(io.BytesIO(b"prompt" + b",a" * n)),
    "a quote that never ends": lambda n: rows(io.BytesIO(b'prompt,b\n"' + b"a\n" * n * 10)),
    "cells of a line": lambda n: rows(io.BytesIO(b"prompt,b\n" + b"," * n * 10)),
    "brackets of TOML": lambda n: from_toml("a = " + "[" * n),
    "nested brackets of TOML": lambda n: from_toml("a = " + "[" * n + "]" * n),
    "digits of TOML": lambda n: from_toml("a = " + "1" * n),
    "a dotted key of TOML": lambda n: from_toml("[grpo]\nepochs" + ".a" * n + " = 1"),
    "sections of TOML": lambda n: read_toml("".join(f"[s{number}]\n" for number in range(n))),
    "keys of TOML": lambda n: read_toml("".join(f"k{number} = 1\n" for number in range(n))),
    "settings of a run": lambda n: checked(unknown_fields(n)),
    "a diff of one word again and again": lambda n: word_diff(
        " ".join(f"x{k} a" for k in range(n // 10)), " ".join(f"y{k} a" for k in range(n // 10))
    ),
    "thinking that is opened again and again": lambda n: parse("<think>" * n, codes=["S1"]),
    "results that are opened again and again": lambda n: parse_labels("<think></think>" + "<result>Request: " * n),
    "steps": lambda n: split_steps("Step 1: a (S1).\n" * n),
    "blanks of a completion": lambda n: parse("<think>a</think>" + " " * n * 20 + "x", codes=["S1"]),
    "blanks of a prompt": lambda n: read_input_block(" \n" * n * 10, 0),
    "quoted lines of a prompt": lambda n: read_input_block("Human user:\n" + "> a\n" * n, 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_no_faster_than_what_is_sent(shape: str) -> None:
    make = SHAPES[shape]
    small = min(taken(lambda: make(SMALL)) for _ in range(3))
    large = min(taken(lambda: make(SMALL * TIMES)) for _ in range(2))
    assert large < max(QUICK_S, small * TIMES * SLACK), f"{small:.4f} s for n, {large:.4f} s for {TIMES} n"


def test_only_the_first_unknown_fields_are_named() -> None:
    errors: list[FieldError] = []
    FieldReader(unknown_fields(5_000), errors).refuse_unknown(["external_id"])
    assert len(errors) == MOST_UNKNOWN + 1 and "did you mean 'external_id'" in errors[0].detail
    assert errors[-1].detail == "has 4,990 more fields that are not known."
    review = ReviewInput(data=unknown_fields(5_000))
    assert not review.is_valid() and len(review.errors) == MOST_UNKNOWN


@pytest.mark.parametrize(
    "text", ["[" * 2_000, "a = " + "1" * 5_000, "a" + ".a" * 5_000 + " = 1", "#" * 100_001, "a = 9223372036854775808"]
)
def test_a_toml_that_cannot_be_read_is_a_sentence(text: str) -> None:
    with pytest.raises(SettingUnknown) as caught:
        from_toml(text)
    assert len(str(caught.value)) < 1_000


@pytest.mark.slow
def test_a_few_bytes_of_an_archive_hold_no_thread() -> None:
    for file in (packed(b"{}\n" * 10_000_000), zipped(1_000_000)):
        assert len(file.getvalue()) < 100_000
        began = time.process_time()
        with pytest.raises(UnpacksTooMuch):
            rows(file)
        file.seek(0)
        report = ingest_rows(rows=rows_of_file(file), actor=make_user())
        assert report.rejected_count < MOST_REJECTED + 2_000
        assert time.process_time() - began < 20
    assert rows(packed(b'{"a": 1}\n' * (UNPACKED_ALWAYS // 9 - 1))) == UNPACKED_ALWAYS // 9 - 1, "a small one is read"


def test_a_file_of_other_things_is_left_after_so_many_rows() -> None:
    def given() -> Any:
        for number in range(1, 10**9):
            assert number < 3 * MOST_REJECTED, "it reads on and on"
            yield FileRow(number, {})

    report = ingest_rows(rows=given(), actor=make_user())
    assert MOST_REJECTED < report.rejected_count < MOST_REJECTED + 2_000
    assert "Nothing after it was read." in report.rejected[0][1][0].detail


def test_a_recipe_page_answers_a_hostile_text(client: Client) -> None:
    client.force_login(make_user(Role.LEAD))
    for text in ("[" * 2_000, "a = " + "1" * 5_000):
        answer = client.post("/training/recipes/edit/", {"mode": "toml", "text": text, "act": "check"})
        assert answer.status_code in (200, 422) and "This is not valid TOML" in answer.text
