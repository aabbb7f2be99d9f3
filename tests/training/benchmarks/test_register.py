"""Benchmarks: registered from files and manifests, evaluated like snapshots, and scored for guards that ran
elsewhere.
"""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from annotation.models import User
from annotation.status import Role
from guardapp.guard.measures.scores import percent
from guardapp.guard.taxonomy import Task
from tests.factories import make_user, production
from tests.guard.reference_data import needs_reference_data, reference
from tests.paths import REFERENCE_DATA
from tests.training.corpora.test_records import write
from training.benchmarks.register import evaluate_on_benchmarks
from training.errors import BenchmarkNotTrainedOn
from training.files import file_of
from training.learning.rows import read_rows
from training.models import Benchmark, DatasetSnapshot, Evaluation, ImportedOutputs
from training.snapshots.create import verify_snapshot, verify_trainable
from training.status import RunStatus
from training.versions.lists import is_evaluated, newest_snapshot

pytestmark = pytest.mark.django_db
PREDICTED = [row for row in reference("f1_open.json") if row["split"] == "open"]


@pytest.fixture(autouse=True)
def lead() -> User:
    return make_user(Role.LEAD)


def row(number: int, label: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"set/{number}",
        "prompt": f"Question {number}?",
        "response": None,
        "media": None,
        "prompt_label": label,
        **fields,
    }


def register(path: Path, *arguments: str) -> Benchmark:
    call_command("register_benchmark", str(path), *arguments)
    return Benchmark.objects.order_by("-id")[0]


def test_a_file_becomes_a_pinned_benchmark(tmp_path: Path, lead: User, settings: Any) -> None:
    (tmp_path / "media").mkdir()
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "media" / "a.png")
    rows = [
        row(1, "harmful", categories=["hate"]),
        row(2, "unharmful"),
        row(3, "harmful", media=["media/a.png"], prompt=None),
    ]
    made = register(write(tmp_path / "mixed set.jsonl", rows), "--licence", "CC0-1.0")
    assert (made.name, made.task, made.modality, made.rows, made.licence) == (
        "mixed-set",
        "prompt_harmfulness",
        "mixed",
        3,
        "CC0-1.0",
    )
    assert (
        made.positive_class == "harmful" and made.snapshot.created_by == lead and made.snapshot.counts["positives"] == 2
    )
    verify_snapshot(made.snapshot)
    read = list(read_rows(file_of(made.snapshot), settings.MEDIA_ROOT, split="holdout"))
    assert [one.sample.id for one in read] == ["set/1", "set/2", "set/3"]
    assert read[0].verdict.categories == ("hate",) and read[2].sample.media[0].frames[0].path.is_file()


def test_bad_rows_are_named_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        row(1, "harmful"),
        row(1, "harmful"),
        row(2, "dangerous"),
        {"prompt": "?"},
        row(3, "", response="Yes."),
        [],
        row(4, "harmful", media=["gone.png"]),
    ]
    made = register(write(tmp_path / "set.jsonl", rows))
    err = capsys.readouterr().err
    assert made.rows == 1 and made.snapshot.counts["bad_rows"] == 6
    for line, said in (
        (2, "an earlier row has"),
        (3, "'dangerous'"),
        (4, "id is missing"),
        (5, "prompt_label is missing"),
        (6, "not an object"),
        (7, "not in the media folder"),
    ):
        assert any(part.startswith(f"line {line}:") and said in part for part in err.splitlines()), (line, err)
    kept = file_of(made.snapshot).with_name(made.snapshot.counts["bad_path"])
    assert len(kept.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({}, Task.PROMPT),
        ({"response": "Yes.", "response_label": "harmful"}, Task.RESPONSE),
        ({"response": "No.", "refusal_label": "refusal"}, Task.REFUSAL),
    ],
)
def test_the_task_is_read_off_the_labels(tmp_path: Path, fields: dict[str, Any], task: Task) -> None:
    assert register(write(tmp_path / "set.jsonl", [row(1, "harmful", **fields)])).task == task
    assert (
        register(
            write(tmp_path / "set.jsonl", [row(1, "harmful", **fields)]),
            "--name",
            "prompts",
            "--task",
            "prompt_harmfulness",
        ).task
        == Task.PROMPT
    )


def test_a_manifest_registers_its_benchmarks_and_checks_them(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    entries = []
    for name in ("one", "xstest_prompts"):
        content = gzip.compress(json.dumps(row(1, "unharmful", id=f"{name}/1")).encode())
        (tmp_path / "sets" / f"{name}.jsonl.gz").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        entries.append({"path": f"sets/{name}.jsonl.gz", "role": "benchmark_open", "license": "MIT", "sha256": sha256})
    entries.append({"path": "train/nothing.jsonl.gz", "role": "train", "sha256": ""})
    (tmp_path / "manifest.json").write_text(json.dumps({"files": entries}))
    register(tmp_path)
    call_command("register_benchmark", str(tmp_path))
    assert list(Benchmark.objects.order_by("name").values_list("name", "licence", "over_refusal")) == [
        ("one", "MIT", False),
        ("xstest_prompts", "MIT", True),
    ]
    (tmp_path / "sets" / "one.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(CommandError, match="sha256"):
        call_command("register_benchmark", str(tmp_path))


def test_a_name_stands_for_one_file(tmp_path: Path) -> None:
    made = register(write(tmp_path / "set.jsonl", [row(1, "harmful")]))
    assert register(write(tmp_path / "set.jsonl", [row(1, "harmful")])) == made
    with pytest.raises(CommandError, match="Not registered: set"):
        register(write(tmp_path / "set.jsonl", [row(1, "unharmful")]))
    assert Benchmark.objects.count() == DatasetSnapshot.objects.count() == 1


@pytest.mark.parametrize("content", ["", "nonsense", json.dumps({"id": "a"})])
def test_a_file_without_a_row_is_no_benchmark(tmp_path: Path, content: str, settings: Any) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    with pytest.raises(CommandError, match="Not registered"):
        register(path)
    assert not DatasetSnapshot.objects.exists() and list(Path(settings.SNAPSHOTS_DIR).iterdir()) == []


def test_a_benchmark_is_measured_on_and_nothing_else(tmp_path: Path, lead: User) -> None:
    prompts = register(write(tmp_path / "set.jsonl", [row(1, "harmful")]))
    register(write(tmp_path / "refusals.jsonl", [row(1, "harmful", response="No.", refusal_label="refusal")]))
    version = production()
    asked = evaluate_on_benchmarks(version=version, requested_by=lead)
    # the guards state no refusal label
    assert [evaluation.snapshot for evaluation in asked] == [prompts.snapshot]
    assert evaluate_on_benchmarks(version=version, requested_by=lead) == asked
    assert asked[0].config["dataset"] == str(file_of(prompts.snapshot)) and asked[0].config["split"] == "holdout"
    Evaluation.objects.update(status=RunStatus.SUCCEEDED)
    assert newest_snapshot() is None and not is_evaluated(version)
    with pytest.raises(BenchmarkNotTrainedOn):
        verify_trainable(prompts.snapshot)


def said(number: int, text: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"set/{number}", "output_text": text, **fields}


ANSWER = "# Task 1\n\n## Reasoning Step 1\nIt is weighed.\n\nAnswers:\nRequest: {0}\nCompletion: None\nResponse: None"
GOLD = [
    row(1, "harmful"),
    row(2, "harmful"),
    row(3, "harmful"),
    row(4, "unharmful"),
    row(5, "unharmful"),
    row(6, "unharmful"),
]
SAID = [
    said(1, ANSWER.format("harmful")),
    said(2, ANSWER.format("unharmful")),
    said(3, "I cannot say."),
    said(4, ANSWER.format("unharmful"), label="unharmful"),
    said(5, "I cannot say."),
    said(6, ANSWER.format("harmful")),
]


def outputs(tmp_path: Path, rows: list[Any], *arguments: str) -> ImportedOutputs:
    arguments = arguments or ("--benchmark", "set", "--guard", "Other")
    call_command("import_predictions", str(write(tmp_path / "said.jsonl", rows)), *arguments)
    return ImportedOutputs.objects.order_by("-id")[0]


def counts(scores: dict[str, Any]) -> tuple[int, ...]:
    return tuple(scores[name] for name in ("n", "tp", "fp", "fn", "tn"))


def test_outputs_are_scored_strictly_and_as_the_published_scripts_count(tmp_path: Path) -> None:
    register(write(tmp_path / "set.jsonl", GOLD))
    made = outputs(tmp_path, SAID)
    strict, published = made.result["strict"], made.result["published"]
    # an unparsed row is wrong once; the published scripts drop it where its gold is harmful and count it twice where it
    # is not
    assert counts(strict) == (6, 1, 2, 2, 1) and strict["unparsed"] == 2
    assert counts(published) == (6, 1, 3, 1, 1) and published["n_scored"] == 6
    assert strict["f1"] == pytest.approx(2 / 6) and strict["f1_low"] <= strict["f1"] <= strict["f1_high"]
    assert outputs(tmp_path, SAID) == made and ImportedOutputs.objects.count() == 1


def test_rows_without_a_completion_count_wrong_and_strange_ones_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(write(tmp_path / "set.jsonl", GOLD))
    made = outputs(tmp_path, [SAID[0], SAID[0], said(9, "x"), said(2, "x", label="unharmful"), {"id": "set/4"}, "x"])
    assert counts(made.result["strict"]) == (6, 1, 3, 2, 0) and counts(made.result["published"]) == (1, 1, 0, 0, 0)
    assert (made.result["missing"], made.result["bad_rows"]) == (5, 5)
    err = capsys.readouterr().err
    for line, words in (
        (2, "an earlier line"),
        (3, "does not have"),
        (4, "gold label is 'harmful'"),
        (5, "output_text"),
        (6, "not an object"),
    ):
        assert any(part.startswith(f"line {line}:") and words in part for part in err.splitlines()), err


def test_outputs_in_the_grammar_of_later_guards(tmp_path: Path) -> None:
    register(write(tmp_path / "set.jsonl", GOLD[:1]))
    text = (
        "<think>\nStep 1: Request: unharmful is quoted.\n</think>\n<result>\nRequest: harmful\nResponse: "
        "None\n</result>"
    )
    made = outputs(tmp_path, [said(1, text)], "--benchmark", "set", "--guard", "Later", "--grammar", "omni")
    assert made.result["strict"]["f1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (("--benchmark", "elsewhere", "--guard", "x"), SAID),
        (("--benchmark", "set"), SAID),
        (("--guard", "x"), SAID),
        (("--benchmark", "set", "--guard", "x"), [said(9, "x")]),
    ],
)
def test_outputs_that_cannot_be_placed_are_refused(tmp_path: Path, arguments: tuple[str, ...], rows: list[Any]) -> None:
    register(write(tmp_path / "set.jsonl", GOLD))
    with pytest.raises(CommandError, match="Not imported"):
        outputs(tmp_path, rows, *arguments)
    assert not ImportedOutputs.objects.exists()


@needs_reference_data
@pytest.mark.slow
def test_outputs_of_the_released_guards_score_what_the_reference_says() -> None:
    for name in {one["benchmark"] for one in PREDICTED}:
        register(REFERENCE_DATA / "benchmarks_open" / f"{name}.jsonl.gz")
    call_command("import_predictions", *map(str, sorted((REFERENCE_DATA / "predictions").glob("*.jsonl.gz"))))
    made = {(one.benchmark.name, one.guard): one.result for one in ImportedOutputs.objects.select_related("benchmark")}
    assert made.keys() == {(one["benchmark"], one["model"]) for one in PREDICTED}
    for one in PREDICTED:
        result = made[one["benchmark"], one["model"]]
        assert (result["missing"], result["bad_rows"]) == (0, 0)
        assert as_reference(result["strict"], one["strict"]) == one["strict"], one
        assert as_reference(result["published"], one["repo"]) == one["repo"], one


def as_reference(result: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    shares = {"precision", "recall", "f1", "accuracy"}
    return {name: percent(result[name]) if name in shares else result[name] for name in like}
