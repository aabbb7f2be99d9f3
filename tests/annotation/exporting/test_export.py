"""Exports: what each format holds, what it drops and why, and whom it is given to."""

import io
import uuid
import zipfile
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines, summarise
from annotation.models import Assignment, Event, GoldLabel, Item, User
from annotation.predictions.active_policy import policy_text
from annotation.review.assign import assign_next
from annotation.review.decision import Decision, StepReview
from annotation.review.submit import submit_review
from annotation.review.undo import undo_last
from annotation.status import ApiScope, EventKind, ReviewKind, StepMark, TargetSource
from guardapp.guard.parsing import parse, render
from guardapp.guard.prompting import INSTRUCTION, USER_ROLE_LINE
from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness
from guardapp.guard.verdict import Judgement, Verdict
from tests.annotation.conftest import KeyedClient
from tests.factories import default_policy, default_queue, make_item, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("annotation.api_urls")]
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
BREAD = "The thing is a loaf of bread."
STEPS = ("The user asks for a thing.", "The thing is dangerous (S1).")
ACCEPT = Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL)
EDITED = Decision(
    kind=ReviewKind.CORRECTED,
    prompt_label=UNHARMFUL,
    categories=(),
    steps=(
        StepReview(STEPS[0], StepMark.RIGHT),
        StepReview(STEPS[1], StepMark.WRONG, BREAD),
        StepReview(None, None, "Added."),
    ),
)
# nothing written: the target is still to come
FLIPPED = Decision(kind=ReviewKind.CORRECTED, prompt_label=UNHARMFUL)


def review(decision: Decision = ACCEPT, reviewer: User | None = None, **fields: Any) -> Item:
    item = make_item(**fields)
    reviewer = reviewer or make_user()
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert isinstance(held, Assignment)
    submit_review(reviewer=reviewer, token=held.token, idempotency_key=uuid.uuid4().hex, decision=decision)
    return item


def rows(format: ExportFormat, *, only_hard: bool = False) -> list[dict[str, Any]]:
    written = b"".join(export_lines(request=ExportRequest(format, only_hard)))
    return [orjson.loads(line) for line in written.splitlines()]


def test_the_canonical_record_holds_the_whole_story() -> None:
    reviewer = make_user(first_name="Ada", last_name="Lovelace")
    rollouts = [
        {"completion": "c1", "prompt_label": "unharmful", "response_label": None, "parsed": True, "tokens": 3},
        {"completion": "c2", "prompt_label": None, "response_label": None, "parsed": False, "tokens": 3},
    ]
    item = review(EDITED, reviewer, prediction={"rollouts": rollouts, "disagreement": 1.0})
    [record] = rows(ExportFormat.CANONICAL)
    content = ("id", "source", "external_id", "modality", "request", "response", "messages", "media")
    assert {name: record["item"][name] for name in content} == {
        "id": item.pk,
        "source": "test",
        "external_id": item.external_id,
        "modality": "text",
        "request": item.prompt,
        "response": None,
        "messages": [],
        "media": [],
    }
    assert record["model"]["verdict"] == {"prompt": "harmful", "response": None, "categories": ["S1"]}
    assert record["model"]["rollouts"][0] == {
        "text": "c1",
        "verdict": {"prompt": "unharmful", "response": None},
        "parsed": True,
        "tokens": 3,
    }
    assert record["model"]["rollouts"][1]["verdict"] is None
    [one] = record["review"]
    assert (one["reviewer_pseudonym"], one["step_labels"]) == (reviewer.pseudonym, [1, -1])
    assert one["edits"] == [{"step": 1, "from": STEPS[1], "to": BREAD}, {"step": None, "from": None, "to": "Added."}]
    assert record["final"]["verdict"]["prompt"] == "unharmful"
    assert record["target"]["steps"] == [STEPS[0], BREAD, "Added."]
    assert (record["hard"]["n"], record["hard"]["wrong_rollouts"], "prompt" in record["hard"]["errors"]) == (2, 1, True)
    assert f'"{reviewer.username}"' not in orjson.dumps(record).decode()
    assert "Lovelace" not in orjson.dumps(record).decode()


def test_the_target_is_what_training_would_learn_and_the_guards_parser_reads_it_back() -> None:
    review(EDITED)
    [trl], [shared], [canonical] = rows(ExportFormat.TRL), rows(ExportFormat.SHAREGPT), rows(ExportFormat.CANONICAL)
    target = render(Judgement((STEPS[0], BREAD, "Added."), Verdict(UNHARMFUL)), response_present=False)
    assert trl["completion"] == [{"role": "assistant", "content": target}]
    assert shared["conversations"][1] == {"from": "gpt", "value": target}
    assert canonical["target"]["completion"] == target
    read = parse(target, response_expected=False, codes=DEFAULT_CODES)
    assert read is not None
    assert read.verdict.prompt is UNHARMFUL


def test_trl_and_sharegpt_rows_hold_the_prompt_of_the_guard() -> None:
    item = review(Decision(kind=ReviewKind.ACCEPTED, prompt_label=HARMFUL, response_label=UNHARMFUL), response="No.")
    asked = f"{USER_ROLE_LINE}{item.prompt}\n\nAI assistant:\nNo.\n"
    [trl], [shared] = rows(ExportFormat.TRL), rows(ExportFormat.SHAREGPT)
    assert trl["prompt"] == [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": asked}]
    assert (shared["system"], shared["conversations"][0]) == (INSTRUCTION, {"from": "human", "value": asked})


def test_a_row_carries_the_policy_that_stood_in_the_guards_prompt() -> None:
    policy = default_policy()
    review(prompt="May I?", prediction={"policy_version": policy})
    review(prompt="May I?")  # of a guard that takes none
    asked = f"{INSTRUCTION}\n\nPolicy:\n{policy_text(policy)}"
    assert "Violent crimes" in asked
    assert [row["prompt"][0]["content"] for row in rows(ExportFormat.TRL)] == [asked, INSTRUCTION]
    assert [row["system"] for row in rows(ExportFormat.SHAREGPT)] == [asked, INSTRUCTION]
    first, second = (row["model_input"]["prompt_sha256"] for row in rows(ExportFormat.CANONICAL))
    assert first != second  # only the policy differs


def test_rows_without_a_target_are_dropped_from_training_formats_and_counted() -> None:
    review()
    review(FLIPPED)
    GoldLabel.objects.filter(item=review(FLIPPED)).update(target_source=TargetSource.UNAVAILABLE)
    review(prompt="What does <image> mean?")
    assert summarise(request=ExportRequest(ExportFormat.CANONICAL)).as_json() == {"rows": 4, "dropped": {}}
    dropped = {"target_pending": 1, "target_unavailable": 1}
    assert summarise(request=ExportRequest(ExportFormat.TRL)).as_json() == {"rows": 2, "dropped": dropped}
    dropped["placeholder_in_text"] = 1
    assert summarise(request=ExportRequest(ExportFormat.SHAREGPT)).as_json() == {"rows": 1, "dropped": dropped}


def test_only_hard_takes_what_contradicts_the_guard() -> None:
    review()
    hard = review(EDITED)
    assert [record["item"]["id"] for record in rows(ExportFormat.CANONICAL, only_hard=True)] == [hard.pk]


def test_what_was_undone_is_not_exported() -> None:
    reviewer = make_user()
    review(reviewer=reviewer)
    undo_last(reviewer=reviewer)
    assert rows(ExportFormat.CANONICAL) == []


def media_item(sender: APIClient, png: bytes) -> Item:
    """An image that came in over the API and was reviewed."""
    sender.post(
        "/api/v1/items",
        {
            "items": orjson.dumps([{"external_id": "a", "prompt": "What is it?", "media": ["a.png"]}]).decode(),
            "a.png": io.BytesIO(png),
        },
        format="multipart",
    )
    arrived = Item.objects.get()
    reviewed = review()
    arrived.item_media.update(item=reviewed)
    Item.objects.filter(pk=reviewed.pk).update(modality="text-image")
    return reviewed


def test_media_rows_name_their_media_and_the_archive_holds_it(
    sender: APIClient, with_key: KeyedClient, png: bytes
) -> None:
    media_item(sender, png)
    review()
    answer = with_key(ApiScope.EXPORT).get("/api/v1/export", {"format": "sharegpt", "archive": "zip"})
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        lines = [orjson.loads(line) for line in archive.read("rows.jsonl").splitlines()]
        [image] = lines[0]["images"]
        assert archive.read(image) == png
        assert lines[0]["conversations"][0]["value"].count("<image>") == 1
        assert (lines[1]["images"], lines[1]["videos"]) == ([], [])
        assert orjson.loads(archive.read("summary.json")) == {"rows": 2, "dropped": {}, "media": 1, "media_missing": []}


def test_trl_content_has_one_type_in_an_export(sender: APIClient, png: bytes) -> None:
    media_item(sender, png)
    review()
    with_image, of_text = rows(ExportFormat.TRL)
    assert [part["type"] for part in with_image["prompt"][1]["content"]] == ["text", "image", "text"]
    assert [part["type"] for part in of_text["prompt"][1]["content"]] == ["text"]
    assert (len(with_image["images"]), of_text["images"]) == (1, [])


def test_an_export_is_streamed_and_on_record(with_key: KeyedClient) -> None:
    review()
    answer = with_key(ApiScope.EXPORT).get(
        "/api/v1/export", {"format": "trl"}, headers={"Accept": "application/x-ndjson"}
    )
    assert answer.streaming
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"] == 'attachment; filename="guardapp-trl.jsonl"'
    assert len(answer.getvalue().splitlines()) == 1
    event = Event.objects.get(kind=EventKind.EXPORTED)
    assert event.detail["format"] == "trl"
    assert event.detail["by"].startswith("key gk_")


def test_a_summary_counts_without_exporting(with_key: KeyedClient) -> None:
    review(FLIPPED)
    answer = with_key(ApiScope.EXPORT).get("/api/v1/export/summary", {"format": "trl", "only": "hard"})
    assert answer.json() == {"rows": 0, "dropped": {"target_pending": 1}}


@pytest.mark.parametrize("query", [{"format": "csv"}, {"only": "soft"}, {"archive": "rar"}])
def test_an_export_that_cannot_be_is_a_problem(with_key: KeyedClient, query: dict[str, str]) -> None:
    answer = with_key(ApiScope.EXPORT).get("/api/v1/export", query)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{next(iter(query))}")
    assert not Event.objects.filter(kind=EventKind.EXPORTED).exists()


def test_an_export_costs_few_queries_and_crosses_chunks(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("annotation.exporting.reviewed_rows.CHUNK", 2)
    made = [review().pk for _ in range(5)]
    # ids, rows, reviews, events; all but the ids in a transaction without workers
    a_chunk = 4 + (3 if connection.vendor == "postgresql" else 0)
    # policies, versions, people, queues; which history there is; the definitions
    with django_assert_max_num_queries(4 + 4 + 6 + 3 * a_chunk + 1):
        assert [record["item"]["id"] for record in rows(ExportFormat.CANONICAL)] == made


def test_the_command_writes_a_file_and_says_what_was_dropped(tmp_path: Path) -> None:
    review()
    review(FLIPPED)
    said = StringIO()
    call_command("export", format="trl", out=tmp_path / "rows.jsonl", stderr=said)
    assert len((tmp_path / "rows.jsonl").read_bytes().splitlines()) == 1
    assert said.getvalue().strip() == "1 rows; dropped: 1 target_pending."
    call_command("export", out=tmp_path / "rows.zip", zip=True, stderr=said)
    assert zipfile.is_zipfile(tmp_path / "rows.zip")
