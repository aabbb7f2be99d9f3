"""Exports as files: whole ones only, resumed after a kill, checked by their sums, and downloaded in parts by who
may.
"""

import gzip
import hashlib
from datetime import timedelta
from io import StringIO
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from annotation.exporting.export_files import folder_of, manifest_of, request_export, write_next
from annotation.exporting.formats import ExportFormat
from annotation.exporting.reviewed_rows import reviewed_rows
from annotation.exporting.stream import ExportRequest, export_lines
from annotation.models import Event, Export, ExportFile, GoldLabel, ItemMedia, MediaAsset
from annotation.review.decision import Decision
from annotation.status import ApiScope, EventKind, ExportLayout, ExportState, ReviewKind, Role
from guardapp.guard.taxonomy import Harmfulness
from tests.annotation.conftest import KeyedClient
from tests.annotation.exporting.test_export import EDITED, FLIPPED, review
from tests.factories import make_user

pytestmark = pytest.mark.django_db
CANONICAL, TRL, SHAREGPT = ExportFormat.CANONICAL, ExportFormat.TRL, ExportFormat.SHAREGPT
JSONL, PARQUET = ExportLayout.JSONL, ExportLayout.PARQUET


def requested(
    format: ExportFormat = CANONICAL, layout: ExportLayout = JSONL, *, rows_a_file: int = 2, only_hard: bool = False
) -> Export:
    return request_export(
        request=ExportRequest(format, only_hard), layout=layout, actor=None, by="test", rows_a_file=rows_a_file
    )


def finish(export: Export) -> Export:
    while write_next(export=export):
        pass
    export.refresh_from_db()
    return export


def lines_in(export: Export) -> bytes:
    return b"".join(gzip.decompress((folder_of(export) / one.name).read_bytes()) for one in export.files.all())


def test_the_files_together_are_the_download_and_the_manifest_holds_their_sums() -> None:
    for _ in range(5):
        review(EDITED)
    export = finish(requested())
    assert (export.state, export.rows, [one.rows for one in export.files.all()]) == (ExportState.DONE, 5, [2, 2, 1])
    assert lines_in(export) == b"".join(export_lines(request=ExportRequest(CANONICAL)))
    written = orjson.loads((folder_of(export) / "manifest.json").read_bytes())
    assert written == orjson.loads(orjson.dumps(manifest_of(export), option=orjson.OPT_UTC_Z))
    for one in written["files"]:
        whole = (folder_of(export) / one["name"]).read_bytes()
        assert (one["size"], one["sha256"]) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert {path.name for path in folder_of(export).iterdir()} == {
        "manifest.json",
        *(one["name"] for one in written["files"]),
    }


@pytest.mark.parametrize("rows_a_file", [2, 4])  # the last file is full
def test_no_empty_file_follows_a_full_one_and_drops_are_counted_across_files(rows_a_file: int) -> None:
    for decision in (EDITED, FLIPPED, EDITED, FLIPPED):
        review(decision)
    export = finish(requested(TRL, rows_a_file=rows_a_file))
    assert (export.rows, export.dropped, export.state) == (2, {"target_pending": 2}, ExportState.DONE)
    assert [one.rows for one in export.files.all()] == ([1, 1] if rows_a_file == 2 else [2])
    assert len(list(folder_of(export).iterdir())) == export.files.count() + 1


def test_nothing_to_export_is_one_empty_file() -> None:
    export = finish(requested())
    assert (export.state, export.rows, export.files.get().rows, lines_in(export)) == (ExportState.DONE, 0, 0, b"")


def test_what_settles_after_the_asking_is_left_for_the_next_export() -> None:
    review()
    export = requested()
    review()
    assert finish(export).rows == 1


@pytest.mark.parametrize("format", list(ExportFormat))
@pytest.mark.parametrize("with_media", [False, True])
def test_parquet_holds_what_the_lines_hold(format: ExportFormat, with_media: bool) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rollouts = [
        {"completion": "c1", "prompt_label": "unharmful", "response_label": None, "parsed": True, "tokens": 3},
        {"completion": "c2", "prompt_label": None, "response_label": None, "parsed": False, "tokens": 3},
    ]
    seen = [
        {"asset": "0" * 64, "folder": "frames/x", "reader": "av", "timestamps": [0.0, 0.5], "width": 64, "height": 48}
    ]
    item = review(
        EDITED, prediction={"rollouts": rollouts, "disagreement": 1.0, "media_seen": seen if with_media else []}
    )
    if with_media:
        asset = MediaAsset.objects.create(sha256="0" * 64, kind="image", mime="image/png", size=1, path="assets/00/0")
        ItemMedia.objects.create(item=item, asset=asset)
        type(item).objects.filter(pk=item.pk).update(modality="text-image")
    both = Decision(kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.HARMFUL, response_label=Harmfulness.UNHARMFUL)
    review(both, response="No. ⅔\n<b>")
    export = finish(requested(format, PARQUET))
    assert (export.state, export.error, export.rows) == (ExportState.DONE, "", 2)
    [made] = export.files.all()
    rows = parquet.read_table(folder_of(export) / made.name).to_pylist()
    expected = [orjson.loads(line) for line in b"".join(export_lines(request=ExportRequest(format))).splitlines()]
    assert [pruned(row) for row in map(unfolded, rows)] == [pruned(row) for row in expected]


def bytes_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def unfolded(row: dict[str, Any]) -> dict[str, Any]:
    """With JSON of any shape read from its text, as the columns of canonical records hold it."""
    if row.get("format") != "guardapp.canonical":
        return row
    places = [
        (row, ("definitions", "events")),
        (row["item"], ("metadata", "reason", "author", "thread", "reports")),
        (row["model"], ("windows",)),
    ]
    places += [(one, ("steps",)) for one in row["review"]]
    places.append((row["history"], ("gold", "predictions", "appeals", "hidden_gold")))
    for place, names in places:
        place.update({name: orjson.loads(place[name]) for name in names if place[name] is not None})
    return row


def pruned(value: Any) -> Any:
    """Without nulls, which a struct has for each field that a row leaves out; moments as text."""
    if isinstance(value, dict):
        return {name: pruned(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [pruned(one) for one in value]
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def test_a_broken_off_export_goes_on_at_the_next_file_and_a_dead_workers_file_is_written_again() -> None:
    for _ in range(3):
        review()
    export = requested()
    write_next(export=export)
    first = (folder_of(export) / export.files.get().name).stat().st_mtime_ns
    Export.objects.update(
        claimed_until=timezone.now() - timedelta(seconds=1), claim_token="0" * 32, attempts=1
    )  # held by a worker that was killed meanwhile
    (folder_of(export) / ".half-a-file").write_bytes(b"{")
    assert finish(export).rows == 3
    assert (folder_of(export) / export.files.all()[0].name).stat().st_mtime_ns == first
    assert not (folder_of(export) / ".half-a-file").exists()


def test_an_export_that_is_held_is_left_alone_and_one_whose_disk_is_full_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    review()
    export = requested()
    Export.objects.update(state=ExportState.RUNNING, claimed_until=timezone.now() + timedelta(minutes=1))
    assert not write_next()
    Export.objects.update(claimed_until=None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("annotation.exporting.export_files.writer_for", full)
        for _ in range(3):
            assert not write_next()
            Export.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert not write_next()
    export.refresh_from_db()
    assert (export.state, "No space left" in export.error) == (ExportState.FAILED, True)


def test_a_file_is_fetched_in_parts_with_its_sum_as_the_tag(with_key: KeyedClient) -> None:
    for _ in range(3):
        review()
    client = with_key(ApiScope.EXPORT)
    asked = client.post("/api/v1/exports", {"format": "canonical"}, format="json")
    assert (asked.status_code, asked.data["state"], asked.data["files"]) == (202, "queued", [])
    export = finish(Export.objects.get(pk=asked.data["export"]))
    told = client.get(asked["Location"]).data
    assert (told["state"], told["share"], told["rows"]) == ("done", 1.0, 3)
    address = f"{asked['Location']}/files/{told['files'][0]['name']}"
    whole = client.get(address)
    body = bytes_of(whole)
    etag, sha256 = whole["ETag"], told["files"][0]["sha256"]
    assert (whole.status_code, etag, hashlib.sha256(body).hexdigest()) == (200, f'"{sha256}"', sha256)
    rest = client.get(address, headers={"Range": "bytes=10-", "If-Range": etag})
    assert (rest.status_code, rest["Content-Range"], bytes_of(rest)) == (
        206,
        f"bytes 10-{len(body) - 1}/{len(body)}",
        body[10:],
    )
    changed = client.get(address, headers={"Range": "bytes=10-", "If-Range": '"other"'})
    assert (changed.status_code, bytes_of(changed)) == (200, body)
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(address, headers={"Range": f"bytes={len(body)}-"}).status_code == 416
    for name in ("nothing.gz", "../../secret_key", "%2e%2e%2fsecret_key"):
        assert client.get(f"{asked['Location']}/files/{name}").status_code == 404
    assert with_key(ApiScope.ITEMS_READ).get(address).status_code == 403
    assert client.get("/api/v1/exports").data["exports"][0]["export"] == export.pk
    assert Event.objects.get(kind=EventKind.EXPORTED).detail["export"] == export.pk


@pytest.mark.parametrize("body", [{"format": "nonsense"}, {"layout": "xlsx"}, {"only_hard": "perhaps"}])
def test_an_export_that_cannot_be_requested_names_the_field(with_key: KeyedClient, body: dict[str, str]) -> None:
    answer = with_key(ApiScope.EXPORT).post("/api/v1/exports", body, format="json")
    assert (answer.status_code, answer.data["errors"][0]["pointer"]) == (422, f"/{next(iter(body))}")


def test_leads_request_files_on_the_page_and_fetch_them_and_reviewers_do_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr("annotation.pages.exports.ring", rung.append)
    review()
    client.force_login(make_user(Role.LEAD))
    assert client.post("/export/files/", {"format": "trl", "layout": "jsonl", "rows": "all"}).status_code == 302
    assert len(rung) == 1
    assert b"every 2s" in client.get("/export/files/", headers={"HX-Request": "true"}).content
    export = finish(Export.objects.get())
    page = client.get("/export/").content.decode()
    [made] = export.files.all()
    assert f"/export/files/{export.pk}/{made.name}" in page
    assert "every 2s" not in page
    part = client.get(f"/export/files/{export.pk}/{made.name}", headers={"Range": "bytes=0-3"})
    assert (part.status_code, bytes_of(part)[:2]) == (206, b"\x1f\x8b")
    assert client.post("/export/files/", {"format": "nonsense"}).status_code == 400
    client.force_login(make_user())
    for address in ("/export/files/", f"/export/files/{export.pk}/{made.name}"):
        assert client.get(address).status_code == 403
    assert client.post("/export/files/").status_code == 403


def test_the_command_writes_files_and_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        review()
    said = StringIO()
    call_command("export", files="jsonl", rows_a_file=2, stdout=said)
    assert "3 rows in " in said.getvalue()
    export = requested()
    write_next(export=export)
    Export.objects.filter(pk=export.pk).update(claimed_until=timezone.now() + timedelta(minutes=1))
    with pytest.raises(CommandError, match=f"--resume {export.pk}"):
        call_command("export", resume=export.pk)
    Export.objects.filter(pk=export.pk).update(claimed_until=None)
    call_command("export", resume=export.pk, stdout=said)
    assert ExportFile.objects.filter(export=export).count() == 2
    with pytest.raises(CommandError, match="no export 999"):
        call_command("export", resume=999)


def test_rows_are_read_by_ranges_of_gold() -> None:
    for _ in range(3):
        review()
    first, second, _third = GoldLabel.objects.order_by("pk").values_list("pk", flat=True)
    assert [row.gold_id for chunk in reviewed_rows(after=first, up_to=second) for row in chunk] == [second]
