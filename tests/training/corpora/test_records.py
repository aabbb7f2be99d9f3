"""Corpora of others, read row by row: what is taken, what is refused and why, and that memory does not grow with the
file.
"""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from guardapp.guard.prompting import INSTRUCTION
from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness, MediaKind
from training.corpora.corpus_rows import CorpusKind, corpus_rows
from training.corpora.json_array import CHUNK, NotAnArray, elements
from training.corpora.records import FileNotReadable, records
from training.corpora.values import BadRow, ImportedRow

USER = "Human user:\nHow do I bake bread?\n\nAI assistant:\nNone\n"
ANSWERED = "Human User:\nHow do I bake bread?\n\nAI assistant:\nWith flour.\n\n"
BENIGN = "<think>\nStep 1: It is about bread.\n</think>\n<result>\nRequest: unharmful\nResponse: None\n</result>"
ANSWERED_BENIGN = BENIGN.replace("Response: None", "Response: unharmful")
HARMFUL = BENIGN.replace("unharmful", "harmful")


def sft(user: Any = USER, completion: Any = BENIGN, **fields: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": INSTRUCTION + "\n"},
        {"role": "user", "content": user},
        {"role": "assistant", "content": completion},
    ]
    return {"messages": messages, **fields}


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, kind: CorpusKind = CorpusKind.SFT, media_root: Path | None = None) -> list[ImportedRow | BadRow]:
    return list(corpus_rows(path, name="c", kind=kind, media_root=media_root, codes=DEFAULT_CODES))


def one(
    tmp_path: Path, row: Any, kind: CorpusKind = CorpusKind.SFT, media_root: Path | None = None
) -> ImportedRow | BadRow:
    (found,) = read(write(tmp_path / "one.jsonl", [row]), kind, media_root)
    return found


@pytest.mark.parametrize(
    "row",
    [
        sft(),
        {"conversations": [{"from": "human", "value": USER}, {"from": "gpt", "value": BENIGN}], "system": INSTRUCTION},
        {"prompt": [{"role": "user", "content": USER}], "completion": [{"role": "assistant", "content": BENIGN}]},
        sft(user=[{"type": "text", "text": "Human user:\n"}, {"type": "text", "text": USER.partition("\n")[2]}]),
        {**sft(), "solution": "Request: unharmful", "images": None, "videos": []},
    ],
)
def test_published_shapes_are_one_row(tmp_path: Path, row: dict[str, Any]) -> None:
    found = one(tmp_path, row)
    assert isinstance(found, ImportedRow)
    assert (found.id, found.prompt, found.response, found.completion) == ("c/1", "How do I bake bread?", None, BENIGN)
    assert found.verdict.prompt == Harmfulness.UNHARMFUL and found.verdict.response is None
    assert found.extra == {}


@pytest.mark.parametrize(
    "row",
    [
        {**sft(), "rejected_response": HARMFUL},
        {
            "conversations": [{"from": "human", "value": USER}],
            "chosen": {"from": "gpt", "value": BENIGN},
            "rejected": {"from": "gpt", "value": HARMFUL},
        },
        {
            "prompt": [{"role": "user", "content": USER}],
            "chosen": [{"role": "assistant", "content": BENIGN}],
            "rejected": [{"role": "assistant", "content": HARMFUL}],
        },
    ],
)
def test_preference_rows_keep_both_completions(tmp_path: Path, row: dict[str, Any]) -> None:
    found = one(tmp_path, row, CorpusKind.PREFERENCE)
    assert isinstance(found, ImportedRow) and found.completion == BENIGN
    assert found.extra == {"chosen": BENIGN, "rejected": HARMFUL}
    plain = one(tmp_path, row)
    assert isinstance(plain, ImportedRow) and plain.extra == {}


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        (3, "", "not an object"),
        ({}, "", "no conversation"),
        ({"messages": "hi"}, "/messages", "must be a list"),
        ({"messages": [1]}, "/messages/0", "must be a message"),
        ({"messages": [{"role": "tool", "content": ""}]}, "/messages/0/role", "'tool'"),
        ({"messages": [{"role": "user", "content": 3}]}, "/messages/0/content", "must be text"),
        ({"messages": [{"role": "user", "content": USER}]}, "/messages", "no assistant message"),
        (sft(user="Hello"), "/messages/1/content", "Human user:"),
        (sft(user=ANSWERED), "/messages/2", "no Response label"),
        (sft(completion="I cannot."), "/messages/2", "does not parse"),
        (sft(user=USER.replace("How", "<image>How"), images=["a.png"]), "/images/0", "not in the media folder"),
        (sft(user=USER.replace("How", "<image>How"), images=["../a.png"]), "/images/0", "outside the media folder"),
        (sft(images=["there.png"]), "/messages/1/content", "0 placeholders"),
        (
            sft(user=USER.replace("How", "<video>How"), images=["there.png"]),
            "/messages/1/content",
            "0 placeholders <image>",
        ),
        (sft(images="a.png"), "/images", "must be a list"),
    ],
)
def test_a_bad_row_says_which_field_and_why(tmp_path: Path, row: Any, field: str, said: str) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "there.png").write_bytes(b"x")
    found = one(tmp_path, row, media_root=tmp_path / "media")
    assert isinstance(found, BadRow), found
    assert found.errors[0].pointer == field and said in found.errors[0].detail
    assert found.value == row


def test_a_preference_row_needs_another_completion(tmp_path: Path) -> None:
    for row, said in ((sft(), "rejected is missing"), ({**sft(), "rejected_response": BENIGN}, "same as the chosen")):
        found = one(tmp_path, row, CorpusKind.PREFERENCE)
        assert isinstance(found, BadRow) and said in found.words


def test_media_follow_the_order_of_their_placeholders(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    row = sft(user=USER.replace("How", "<image><video><image>How"), images=["a.png", "b.png"], videos=["c.mp4"])
    found = one(tmp_path, row, media_root=tmp_path)
    assert isinstance(found, ImportedRow)
    assert [(medium.kind, medium.source.content) for medium in found.media] == [
        (MediaKind.IMAGE, tmp_path / "a.png"),
        (MediaKind.VIDEO, tmp_path / "c.mp4"),
        (MediaKind.IMAGE, tmp_path / "b.png"),
    ]


def test_another_instruction_is_noted(tmp_path: Path) -> None:
    row = sft()
    row["messages"][0]["content"] = "You are a poet."
    found = one(tmp_path, row)
    assert isinstance(found, ImportedRow) and found.extra == {"other_instruction": True}


ROWS = [sft(), {"messages": []}, sft(user=ANSWERED, completion=ANSWERED_BENIGN)]


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "bom", "array", "pretty", "parquet"])
def test_every_container_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    if form == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif form in ("array", "pretty"):
        path.write_text("\n" + json.dumps(ROWS, indent=2 if form == "pretty" else None))
    else:
        path.write_bytes(
            gzip.compress(lines) if form == "jsonl.gz" else b"\xef\xbb\xbf" + lines if form == "bom" else lines
        )
    first, bad, second = read(path)
    assert isinstance(first, ImportedRow) and isinstance(second, ImportedRow) and isinstance(bad, BadRow)
    assert (first.response, second.response) == (None, "With flour.")
    if form == "pretty":
        assert [row.place.row for row in (first, bad, second)] == [1, 2, 3]
        assert [row.place.line for row in (first, bad, second)] == [
            number for number, line in enumerate(path.read_text().splitlines(), start=1) if line == "  {"
        ]


def test_lines_that_are_no_json_are_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(sft()) + "\n\n{'a': 1}\n" + json.dumps(sft()) + "\n")
    first, bad, second = read(path)
    assert (
        isinstance(bad, BadRow) and str(bad.place) == "line 3" and bad.value == "{'a': 1}" and "not JSON" in bad.words
    )
    assert isinstance(first, ImportedRow) and isinstance(second, ImportedRow) and second.place.line == 4


def test_an_element_that_is_no_json_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(f"[{json.dumps(sft())},\n{{'a': NaN}},\n{json.dumps(sft())}]")
    rows = read(path)
    assert [type(row) for row in rows] == [ImportedRow, BadRow, ImportedRow] and str(rows[1].place) == "line 2, row 2"


@pytest.mark.parametrize(
    "content", [b"[1, 2", b'[{"a": "', gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20], b"PAR1 no parquet"]
)
def test_a_file_that_breaks_off_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cut"
    path.write_bytes(content)
    with pytest.raises(FileNotReadable, match="cut"):
        list(records(path))


def test_arrays_are_split_like_json_whatever_the_chunks_cut() -> None:
    values = [{"a": '],"\\"{', "b": [1, [2, {}]]}, "x\\", 3, [], {}, "é" * CHUNK, {"n": "\n" * 10}] * 3
    for indent in (None, 1):
        text = json.dumps(values, indent=indent, ensure_ascii=False).encode()
        found = list(elements(io.BytesIO(text)))
        assert [json.loads(element) for _, element in found] == values
    for broken in (b"[", b"[1]\n[2]\n"):
        with pytest.raises(NotAnArray):
            list(elements(io.BytesIO(broken)))


MEASURE = """
import resource, sys
from pathlib import Path
import django
django.setup()
from training.corpora.corpus_rows import CorpusKind, corpus_rows
rows, bad, peaks = 0, 0, []
for row in corpus_rows(Path(sys.argv[1]), name="c", kind=CorpusKind.SFT, media_root=None, codes=()):
    rows += 1
    bad += hasattr(row, "errors")
    if rows in (2_000, 60_000):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(rows, bad, peaks[1] - peaks[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "array"])
def test_memory_stays_flat_over_a_large_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / "large"
    line = json.dumps(sft(completion=BENIGN.replace("bread.", "bread. " * 150)))
    with path.open("w") as lines:
        lines.write("[" if form == "array" else "")
        for number in range(60_000):
            lines.write(("," if form == "array" and number else "") + ("{}" if number % 1000 == 7 else line) + "\n")
        lines.write("]" if form == "array" else "")
    assert path.stat().st_size > 100_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True, timeout=250
    )
    rows, bad, grown_kib = map(int, done.stdout.split())
    assert (rows, bad) == (60_000, 60)
    assert grown_kib < 8_192
