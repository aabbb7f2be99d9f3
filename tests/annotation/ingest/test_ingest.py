"""Ingestion: rows become items once, whatever shape they come in."""

import base64
import gzip
from io import StringIO
from pathlib import Path
from typing import cast

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.ingest import jsonl
from annotation.ingest.insert import Candidate, insert_new
from annotation.ingest.jsonl import bounded_lines, ingest_jsonl
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import QueueNotFound, ingest_items
from annotation.ingest.values import IncomingItem, RowProblem, RowStatus
from annotation.models import Event, Item, MediaAsset, ReviewQueue
from annotation.status import EventKind, ItemStatus
from guardapp.guard.taxonomy import Modality
from tests.factories import default_queue

pytestmark = pytest.mark.django_db
CREATED, EXISTS, CONFLICT, REJECTED = RowStatus.CREATED, RowStatus.EXISTS, RowStatus.CONFLICT, RowStatus.REJECTED


def row(external_id: str = "a", prompt: str = "How do I bake bread?", **fields: object) -> IncomingItem | RowProblem:
    return read_row({"external_id": external_id, "source": "test", "prompt": prompt, **fields})


def statuses(*rows: IncomingItem | RowProblem) -> list[RowStatus]:
    return [result.status for result in ingest_items(rows=rows)]


def test_a_new_row_becomes_an_item_that_waits_for_the_guard() -> None:
    [result] = ingest_items(
        rows=[row(response="Mix flour and water.", metadata={"lang": "en"}, reason={"policy_id": "p1"})]
    )
    item = Item.objects.get()
    assert result.id == item.pk
    assert (item.status, item.queue.slug, item.free_slots, item.modality) == (ItemStatus.PENDING, "default", 1, "text")
    assert (item.response, item.metadata, item.reason) == ("Mix flour and water.", {"lang": "en"}, {"policy_id": "p1"})
    assert list(Event.objects.values_list("kind", "item_id")) == [(EventKind.INGESTED, item.pk)]


def test_the_same_row_twice_is_one_item() -> None:
    assert statuses(row()) == [CREATED]
    assert statuses(row()) == [EXISTS]
    assert Item.objects.count() == Event.objects.count() == 1


def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing() -> None:
    statuses(row())
    [result] = ingest_items(rows=[row(prompt="Something else")])
    assert (result.status, result.errors[0].pointer) == (CONFLICT, "/external_id")
    assert Item.objects.get().prompt == "How do I bake bread?"


def test_the_same_id_of_another_source_is_another_item() -> None:
    assert statuses(row(), row(source="elsewhere")) == [CREATED, CREATED]


def test_a_repeat_within_a_batch_exists_where_it_says_the_same_and_is_a_duplicate_where_not() -> None:
    results = ingest_items(rows=[row(), row(), row(prompt="Something else")])
    assert [result.status for result in results] == [CREATED, EXISTS, REJECTED]
    assert results[0].id == results[1].id
    assert "duplicate: row 0" in results[2].errors[0].detail


def test_a_bad_row_takes_no_other_with_it() -> None:
    assert statuses(row("a"), read_row(5), row("b", prompt=""), row("c")) == [CREATED, REJECTED, REJECTED, CREATED]
    assert Item.objects.count() == 2


def test_an_item_gets_the_slots_of_its_queue() -> None:
    ReviewQueue.objects.create(slug="double", name="Double", reviews_per_item=2)
    ingest_items(rows=[row()], queue="double")
    assert Item.objects.get().free_slots == 2


def test_an_unknown_queue_is_named() -> None:
    with pytest.raises(QueueNotFound, match="nowhere"):
        ingest_items(rows=[row()], queue="nowhere")


def test_more_rows_than_a_chunk_keep_their_order() -> None:
    results = ingest_items(rows=[row(f"id-{number}") for number in range(2_500)])
    assert [result.index for result in results] == list(range(2_500))
    assert [result.external_id for result in results] == [f"id-{number}" for number in range(2_500)]


def test_coop_rows_are_read(png: bytes) -> None:
    data_url = "data:image/png;base64," + base64.b64encode(png).decode()
    coop = read_row(
        {
            "external_id": "c1",
            "type": "post",
            "data": {"text": "Look", "image_url": data_url},
            "reason": {"policy_id": "p"},
            "reported_at": "2025-01-31T12:00:00Z",
            "context": [{"text": "before"}],
            "metadata": {"lang": "en"},
        }
    )
    ingest_items(rows=[coop])
    item = Item.objects.get()
    assert (item.modality, item.prompt, item.reason) == ("text-image", "Look", {"policy_id": "p"})
    assert item.metadata == {"type": "post", "context": [{"text": "before"}], "lang": "en"}
    assert item.reported_at is not None
    assert item.reported_at.year == 2025


def test_chat_pairs_without_an_id_are_idempotent() -> None:
    pair = {"request": "How do I bake bread?", "response": "Mix flour and water."}
    assert statuses(read_row(pair)) == [CREATED]
    assert statuses(read_row(pair)) == [EXISTS]
    assert statuses(read_row({**pair, "response": None})) == [CREATED]


def test_dataset_rows_keep_their_labels_and_provenance_apart_from_the_content() -> None:
    read = read_row(
        {
            "id": "bakery/0007",
            "source": "a site, via a mirror",
            "split": "open",
            "license": "MIT",
            "modality": "text",
            "prompt": "Bread?",
            "response": None,
            "media": None,
            "prompt_label": "unharmful",
            "response_label": None,
            "refusal_label": None,
            "categories": ["food"],
        }
    )
    ingest_items(rows=[read])
    item = Item.objects.get()
    assert (item.source, item.external_id) == ("bakery", "bakery/0007")
    assert item.metadata["labels"] == {"prompt": "unharmful", "response": None, "refusal": None}
    assert item.metadata["provenance"] == "a site, via a mirror"


def test_media_is_kept_once_by_its_bytes(png: bytes, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png)
    (tmp_path / "two.png").write_bytes(png)
    lines = [orjson.dumps({"external_id": name, "media": [f"{name}.png"]}) for name in ("one", "two")]
    report = ingest_jsonl(lines=lines, media_root=tmp_path)
    assert report.created == 2
    asset = MediaAsset.objects.get()
    assert (asset.kind, asset.mime, asset.size, asset.items.count()) == ("image", "image/png", len(png), 2)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/hostname", "link.png"])
def test_media_paths_cannot_leave_the_media_folder(name: str, png: bytes, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(png)
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    report = ingest_jsonl(lines=[orjson.dumps({"external_id": "x", "media": [name]})], media_root=root)
    assert "outside the media folder" in report.rejected[0][1][0].detail


def test_a_file_reports_bad_lines_by_their_number() -> None:
    lines = [
        b'{"external_id": "a", "prompt": "x"}\n',
        b"\n",
        b"{broken\n",
        b'{"external_id": "b", "promt": "x"}\n',
        b'{"external_id": "c", "prompt": "z"}',
    ]
    report = ingest_jsonl(lines=lines, source="file")
    assert (report.created, report.rejected_count, [number for number, _ in report.rejected]) == (2, 2, [3, 4])
    assert "not JSON" in report.rejected[0][1][0].detail
    assert "did you mean 'prompt'" in report.rejected[1][1][0].detail


@pytest.mark.parametrize("packed", [False, True])
def test_the_command_takes_plain_and_packed_files_with_their_media(packed: bool, png: bytes, tmp_path: Path) -> None:
    (tmp_path / "media" / "open").mkdir(parents=True)
    (tmp_path / "media" / "open" / "a.png").write_bytes(png)
    (tmp_path / "rows").mkdir()
    line = orjson.dumps(
        {"id": "photos/1", "prompt": "What is it?", "media": ["media/open/a.png"], "modality": "text-image"}
    )
    file = tmp_path / "rows" / ("photos.jsonl.gz" if packed else "photos.jsonl")
    file.write_bytes(gzip.compress(line) if packed else line)
    out = StringIO()
    call_command("ingest", file, stdout=out, stderr=StringIO())
    assert "1 created" in out.getvalue()
    assert Item.objects.get().media.count() == 1


def test_the_command_fails_where_no_row_could_be_taken(tmp_path: Path) -> None:
    default_queue()
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(CommandError, match="No row"):
        call_command("ingest", tmp_path / "bad.jsonl", stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_never_ends_is_refused_and_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 1_000)
    content = b"x" * 100_000 + b"\n" + b'{"external_id": "after", "prompt": "Hello."}\n'
    file = tmp_path / "rows.jsonl"
    file.write_bytes(gzip.compress(content) if packed else content)
    with gzip.open(file) if packed else file.open("rb") as stream:
        lines = list(bounded_lines(stream))
    assert [len(line) for line in lines] == [1_001, 45]
    report = ingest_jsonl(lines=lines)
    assert ([line for line, _ in report.rejected], report.created) == ([1], 1)


def test_long_lines_are_stored_in_smaller_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    default_queue()
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 1_000)
    seen: list[int] = []
    lines = [b'{"external_id": "%d", "prompt": "%s"}' % (number, b"x" * 700) for number in range(5)]
    report = ingest_jsonl(lines=lines, progress=lambda so_far: seen.append(so_far.lines))
    assert (seen, report.created) == ([2, 4, 5], 5)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("en", "en"),
        ("pt_br", "pt-BR"),
        ("ZH-hant", "zh-Hant"),
        ("es-419", "es-419"),
        ("de-CH-1996", "de-CH-1996"),
        ("", ""),
        (None, ""),
    ],
)
@pytest.mark.parametrize(
    "shape", [{"external_id": "a", "prompt": "x"}, {"external_id": "a", "data": {"text": "x"}}, {"request": "x"}]
)
def test_a_row_of_any_shape_names_its_language(shape: dict[str, object], given: str | None, kept: str) -> None:
    ingest_items(rows=[read_row({**shape, "language": given})])
    assert Item.objects.get().language == kept


@pytest.mark.parametrize("given", ["english", "e", "en--US", "x" * 30, "sl-IT-nedis-rozaj-biske", 5, ["en"], "en\x00"])
def test_a_language_that_is_none_is_refused_by_name(given: object) -> None:
    refused = row(language=given)
    assert isinstance(refused, RowProblem)
    assert [error.pointer for error in refused.errors] == ["/language"]


@pytest.mark.parametrize(
    ("metadata", "kept"), [({"language": "de"}, "de"), ({"language": "German"}, ""), ({"language": ["de"]}, "")]
)
def test_the_metadata_names_the_language_where_the_row_does_not(metadata: dict[str, object], kept: str) -> None:
    ingest_items(rows=[row(metadata=metadata)])
    assert Item.objects.get().language == kept
    assert statuses(row("b", language="fr", metadata=metadata)) == [CREATED]
    assert Item.objects.get(external_id="b").language == "fr"


def test_a_row_that_the_database_refuses_is_an_error_and_not_one_that_was_there_before() -> None:
    """Only what has the same identity is left as it is: nothing else that is wrong with a row is ignored."""
    given = row()
    assert isinstance(given, IncomingItem)
    broken = Candidate(0, given, Modality.TEXT, (), cast(str, None))
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_new([broken], queue=default_queue(), key=None, actor=None, now=timezone.now())
    assert not Item.objects.exists()
