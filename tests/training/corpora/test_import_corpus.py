"""An imported corpus is a snapshot like others: pinned, split, decoded, and with its bad rows kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from annotation.models import User
from annotation.status import Role
from guardapp.guard.parsing import parse
from guardapp.guard.taxonomy import DEFAULT_CODES, Task
from tests.factories import make_user
from tests.guard.media.samples import make_video
from tests.training.corpora.test_records import BENIGN, HARMFUL, sft, write
from tests.training.rows import make_snapshot
from training.benchmarks.register import BenchmarkFacts, register_benchmark
from training.contract import DpoConfig
from training.corpora.benchmark_rows import benchmark_rows
from training.corpora.corpus_rows import CorpusKind, corpus_rows
from training.corpora.import_corpus import import_corpus
from training.corpora.report import ImportReport
from training.errors import NothingToTrainOn, SnapshotNameTaken
from training.files import file_of
from training.learning.dpo_data import read_pairs
from training.learning.rows import read_rows
from training.models import DatasetSnapshot
from training.snapshots.create import verify_snapshot
from training.status import SnapshotOrigin

pytestmark = pytest.mark.django_db
SUBJECTS = ("bread", "locks", "cats", "trains", "rivers", "clocks", "paper", "glass", "soap", "wool")


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


def question(subject: str, before: str = "") -> str:
    return f"Human user:\n{before}Tell me about {subject}.\n\nAI assistant:\nNone\n"


def corpus(
    path: Path, lead: User, *, rows: list[Any], name: str = "corpus", kind: str = "sft", holdout_share: float = 0.0
) -> tuple[DatasetSnapshot, ImportReport]:
    report = ImportReport()
    found = corpus_rows(
        write(path / f"{name}.jsonl", rows), name=name, kind=CorpusKind(kind), media_root=path, codes=DEFAULT_CODES
    )
    made = import_corpus(rows=found, name=name, kind=kind, created_by=lead, report=report, holdout_share=holdout_share)
    return made, report


def lines(snapshot: DatasetSnapshot) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file_of(snapshot).read_text().splitlines()]


def test_a_corpus_becomes_a_snapshot_that_jobs_read(lead: User, tmp_path: Path, settings: Any) -> None:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "a.png")
    make_video(tmp_path / "b.mp4")
    rows = [
        sft(),
        sft(question("pictures", "<image>"), HARMFUL, images=["a.png"]),
        sft(question("clips", "<video>"), videos=["b.mp4"]),
        {"messages": "none"},
        sft(completion="no"),
    ]
    snapshot, report = corpus(tmp_path, lead, rows=rows)
    assert (report.taken, report.bad_count) == (3, 2)
    assert snapshot.origin == SnapshotOrigin.CORPUS and snapshot.counts["train"] == 3
    assert snapshot.counts["by_modality"] == {"text": 1, "text-image": 1, "video": 1}
    verify_snapshot(snapshot)
    text, picture, clip = read_rows(file_of(snapshot), settings.MEDIA_ROOT, split="train")
    assert (text.sample.id, text.sample.prompt, text.source) == ("corpus/1", "How do I bake bread?", "corpus")
    assert picture.completion == HARMFUL and picture.verdict.prompt == "harmful"
    assert all(
        frame.path.is_file() for row in (picture, clip) for medium in row.sample.media for frame in medium.frames
    )
    assert len(clip.sample.media[0].frames) > 1

    kept = file_of(snapshot).with_name(snapshot.counts["bad_path"])
    bad = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["at"] for row in bad] == ["line 4", "line 5"] and [row["row"] for row in bad] == rows[3:]
    assert [row["errors"][0]["field"] for row in bad] == ["/messages", "/messages/2"]


def test_rows_on_one_line_are_distinguished(lead: User, tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "a.png")
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([sft(), sft(question("this", "<image>"), images=["a.png"]), sft(question("that"))]))
    rows = corpus_rows(path, name="c", kind=CorpusKind.SFT, media_root=tmp_path, codes=DEFAULT_CODES)
    snapshot = import_corpus(rows=rows, name="c", kind="sft", created_by=lead, report=ImportReport(), holdout_share=0.0)
    assert [(row["id"], len(row["media"])) for row in lines(snapshot)] == [("c/1", 0), ("c/2", 1), ("c/3", 0)]


def test_a_file_that_is_no_picture_costs_its_own_row_only(lead: User, tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    rows = [
        sft(question("this", "<image>"), images=["a.png"]),
        sft(question("that", "<image>"), images=["b.png"]),
        sft(question("those", "<video>"), videos=["a.png"]),
    ]
    snapshot, report = corpus(tmp_path, lead, rows=rows)
    assert snapshot.counts["train"] == 1
    assert [(str(bad.place), bad.errors[0].pointer) for bad in report.bad] == [
        ("line 2", "/images/0"),
        ("line 3", "/videos/0"),
    ]
    assert "is of kind image" in report.bad[1].words


def test_preference_rows_carry_the_pair_that_dpo_reads(lead: User, tmp_path: Path) -> None:
    snapshot, _ = corpus(tmp_path, lead, rows=[{**sft(), "rejected_response": HARMFUL}], kind="preference")
    read = read_pairs(DpoConfig(base_model="", dataset=str(file_of(snapshot)), media_root=str(tmp_path)))
    assert [(pair.row.completion, pair.chosen, pair.rejected) for pair in read.pairs] == [(BENIGN, BENIGN, HARMFUL)]
    assert snapshot.counts["kind"] == "preference" and read.unpaired == 0


def test_the_holdout_is_a_share_in_which_near_copies_stay_together(lead: User, tmp_path: Path) -> None:
    rows = [
        sft(question(f"{subject} {number}{mark}")) for number in range(40) for subject in SUBJECTS for mark in ("", "!")
    ]
    snapshot, _ = corpus(tmp_path, lead, rows=rows, holdout_share=0.25)
    assert 120 < snapshot.counts["holdout"] < 280 and snapshot.counts["train"] + snapshot.counts["holdout"] == 800
    sides: dict[str, set[str]] = {}
    for row in lines(snapshot):
        sides.setdefault(row["group"], set()).add(row["split"])
    assert len(sides) == 400 and all(len(side) == 1 for side in sides.values())


def test_what_is_measured_on_is_not_trained_on(lead: User, tmp_path: Path) -> None:
    reviewed = make_snapshot(40)
    held_out = [row for row in lines(reviewed) if row["split"] == "holdout"]
    benchmark = write(tmp_path / "set.jsonl", [{"id": "a", "prompt": "Tell me about wool!", "prompt_label": "harmful"}])
    register_benchmark(
        facts=BenchmarkFacts("wool", Task.PROMPT, "0" * 64),
        created_by=lead,
        report=ImportReport(),
        rows=benchmark_rows(benchmark, task=Task.PROMPT, media_root=None),
    )
    rows = [sft(), sft(question("wool")), sft(f"Human user:\n{held_out[0]['prompt']}\n\nAI assistant:\nNone\n")]
    snapshot, report = corpus(tmp_path, lead, rows=rows)
    assert snapshot.counts["train"] == 1
    assert report.dropped == {"stands in a benchmark": 1, "held out by a snapshot of reviews": 1}
    assert snapshot.counts["dropped"] == dict(report.dropped)


def test_a_corpus_of_bad_rows_leaves_nothing(lead: User, tmp_path: Path, settings: Any) -> None:
    with pytest.raises(NothingToTrainOn):
        corpus(tmp_path, lead, rows=[{"messages": 1}])
    assert not DatasetSnapshot.objects.exists() and list(Path(settings.SNAPSHOTS_DIR).iterdir()) == []


def test_a_name_is_used_once(lead: User, tmp_path: Path) -> None:
    corpus(tmp_path, lead, rows=[sft()])
    with pytest.raises(SnapshotNameTaken):
        corpus(tmp_path, lead, rows=[sft()])


def test_the_command_says_what_became_of_the_rows(
    lead: User, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([sft(), {"messages": 1}, sft(question("wool"))]))
    call_command("import_corpus", str(path), "--name", "vl", "--holdout", "0")
    out, err = capsys.readouterr()
    assert "vl: 2 rows to train on, 0 held out, 1 bad" in out and "line 1, row 2: messages must be a list" in err
    snapshot = DatasetSnapshot.objects.get(name="vl")
    assert snapshot.created_by == lead
    assert all(parse(row["completion"], codes=DEFAULT_CODES) for row in lines(snapshot))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl", "--name", "x"], "no file"),
        (["FILE", "--name", "x", "--holdout", "1"], "--holdout"),
        (["FILE", "--name", "x", "--by", "nobody"], "nobody"),
        (["FILE", "--name", "x", "--kind", "preference"], "No row of the file"),
    ],
)
def test_the_command_refuses_in_words(lead: User, tmp_path: Path, arguments: list[str], said: str) -> None:
    path = write(tmp_path / "rows.jsonl", [sft()])
    with pytest.raises(CommandError, match=said):
        call_command("import_corpus", *[str(path) if word == "FILE" else word for word in arguments])
