"""What people send as a file of rows: encodings, containers and shapes are told by content, and bad rows fail alone."""

import csv
import gzip
import io
import json
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from annotation.ingest.row_files import FileNotReadable, FileRow, rows_of_file
from annotation.models import Item
from annotation.status import Role
from tests.factories import default_queue, make_user

ROWS = [{"external_id": f"b{number}", "prompt": f"row {number} Grüße 世 🎈"} for number in range(3)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def zipped(**members: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return written.getvalue()


def as_csv(delimiter: str) -> str:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter)
    writer.writerow(["external_id", "prompt"])
    writer.writerows([row["external_id"], row["prompt"]] for row in ROWS)
    return written.getvalue()


WHOLE = {
    "JSON lines": LINES.encode(),
    "a byte order mark": LINES.encode("utf-8-sig"),
    "UTF-16, little end first": LINES.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + LINES.encode("utf-16-be"),
    "UTF-16 without a mark": LINES.encode("utf-16-le"),
    "UTF-32": LINES.encode("utf-32"),
    "line ends of Windows": LINES.replace("\n", "\r\n").encode(),
    "line ends of old Macs": LINES.replace("\n", "\r").encode(),
    "no line end at the end": LINES.strip().encode(),
    "an array over many lines": json.dumps(ROWS, indent=1).encode(),
    "an array on one line": json.dumps(ROWS, ensure_ascii=False).encode("utf-8-sig"),
    "an object with items": json.dumps({"items": ROWS}, indent=2).encode(),
    "objects over many lines": "\n".join(json.dumps(row, indent=2) for row in ROWS).encode(),
    "CSV": as_csv(",").encode("utf-8-sig"),
    "CSV of a German Excel": as_csv(";").encode("utf-16"),
    "TSV": as_csv("\t").encode(),
    "gzip": gzip.compress(LINES.encode()),
    "gzip of an array": gzip.compress(json.dumps(ROWS).encode()),
    "ZIP": zipped(**{"one.jsonl": LINES.encode(), "__MACOSX/._one.jsonl": b"\x00\x05\x16\x07"}),
    "ZIP of several": zipped(
        **{f"part{number}.json": json.dumps([row]).encode("utf-16") for number, row in enumerate(ROWS)}
    ),
}


def read(content: bytes) -> list[FileRow]:
    return list(rows_of_file(io.BytesIO(content)))


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_the_rows_of_a_file_are_read_whatever_it_is_written_as(content: bytes) -> None:
    rows = read(content)
    assert [row.problem for row in rows] == ["", "", ""]
    assert [row.value for row in rows] == ROWS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"  \n \n", "empty"),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (b"%PDF-1.7 something", "PDF"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
        (b"name,age\nEva,3\n", "no column with text: name, age"),
        (b"id,text,prompt\n1,a,b\n", "column prompt is there twice"),
        (b"Dear all,\nplease look at this.\n", "no column with text"),
        (gzip.compress(gzip.compress(LINES.encode())), "another archive"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_what_is_no_file_of_rows_is_refused_once_and_says_what_to_send(content: bytes, words: str) -> None:
    with pytest.raises(FileNotReadable, match=words):
        read(content)


@pytest.mark.parametrize("cut", [gzip.compress(LINES.encode() * 50)[:-30], zipped(**{"a.jsonl": LINES.encode()})[:-30]])
def test_a_cut_off_archive_is_reported_in_words(cut: bytes) -> None:
    with pytest.raises(FileNotReadable, match="broken or cut off"):
        read(cut)


def test_a_cell_may_hold_delimiters_quotes_and_line_ends() -> None:
    rows = read(b'id,text,label\n1,"Hello, ""world""\nsecond line",x\n2,Zwei;drei,y\n')
    assert [row.value for row in rows] == [
        {"external_id": "1", "prompt": 'Hello, "world"\nsecond line', "metadata": {"label": "x"}},
        {"external_id": "2", "prompt": "Zwei;drei", "metadata": {"label": "y"}},
    ]
    assert [row.number for row in rows] == [2, 4]


def test_a_row_with_too_many_cells_fails_alone() -> None:
    rows = read(b"id,text\n1,a,b\n2,c\n")
    assert "3 cells where the header has 2" in rows[0].problem
    assert rows[1].value == {"external_id": "2", "prompt": "c"}


def test_a_broken_first_line_does_not_take_the_others_along() -> None:
    rows = read(b'{"external_id": "cut", "prompt": "\n' + LINES.encode())
    assert rows[0].problem.startswith("is not JSON") and [row.value for row in rows[1:]] == ROWS


def test_an_array_that_breaks_off_keeps_the_rows_before() -> None:
    rows = read(json.dumps(ROWS).encode()[:-20])
    assert [row.value for row in rows[:2]] == ROWS[:2] and "Nothing after it was read" in rows[2].problem


def test_a_bad_member_of_an_archive_takes_no_other_along() -> None:
    rows = read(zipped(**{"a.pdf": b"%PDF-1.7", "b.jsonl": LINES.encode()}))
    assert "a.pdf: This is a PDF file" in rows[0].problem and [row.value for row in rows[1:]] == ROWS


def test_an_element_longer_than_a_piece_is_read_whole() -> None:
    long = [{"external_id": "long", "prompt": "x" * 300_000}, *ROWS]
    assert [row.value for row in read(json.dumps(long).encode())] == long


@pytest.mark.django_db
def test_the_command_stores_the_first_row_of_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    default_queue()
    file = tmp_path / "rows.jsonl"
    file.write_bytes(LINES.encode("utf-8-sig"))
    out = StringIO()
    call_command("ingest", file, stdout=out, stderr=StringIO())
    assert "3 created" in out.getvalue()
    assert set(Item.objects.values_list("external_id", flat=True)) == {"b0", "b1", "b2"}


@pytest.mark.django_db
def test_the_command_ends_with_an_error_where_the_file_is_no_file_of_rows(tmp_path: Path) -> None:
    default_queue()
    (tmp_path / "rows.jsonl").write_bytes(b"PAR1\x15\x04")
    with pytest.raises(CommandError, match="Parquet"):
        call_command("ingest", tmp_path / "rows.jsonl", stdout=StringIO(), stderr=StringIO())


@pytest.mark.django_db
def test_the_upload_page_takes_a_spreadsheet_in_an_archive(client: Client) -> None:
    queue = default_queue()
    client.force_login(make_user(Role.LEAD))
    file = SimpleUploadedFile("rows.zip", zipped(**{"rows.csv": as_csv(";").encode("utf-16")}))
    answer = client.post("/upload/", {"file": file, "queue": queue.slug})
    assert answer.status_code == 200 and Item.objects.count() == 3
    assert Item.objects.get(external_id="b1").prompt == "row 1 Grüße 世 🎈"
