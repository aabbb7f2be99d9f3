"""The leaderboard: who may see it, what its numbers are, and what its buttons do."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.ingest.read_media import no_files
from annotation.models import ModelVersion, User
from annotation.status import Role
from guardapp.guard.measures.scores import Outcome
from guardapp.guard.taxonomy import Harmfulness, Task
from tests.factories import make_user, production
from tests.training.corpora.test_records import sft, write
from tests.training.rows import make_candidate
from training.benchmarks.leaderboard import Line, Origin
from training.benchmarks.others_outputs import import_outputs
from training.benchmarks.published import published
from training.benchmarks.register import BenchmarkFacts, register_benchmark
from training.corpora.benchmark_rows import read_benchmark_row
from training.corpora.corpus_rows import CorpusKind, corpus_rows
from training.corpora.import_corpus import import_corpus
from training.corpora.output_rows import OutputRow
from training.corpora.records import Place, Record
from training.corpora.report import ImportReport
from training.corpora.values import ImportedRow
from training.learning.scoring import counted
from training.models import Benchmark, Evaluation, ImportedOutputs, TrainingRun
from training.status import RunStatus

pytestmark = pytest.mark.django_db
HARMFUL, UNHARMFUL = Harmfulness.HARMFUL, Harmfulness.UNHARMFUL
LABELS = {"h": HARMFUL, "u": UNHARMFUL, "?": None}


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pages.benchmarks.ring_workers", lambda: None)


@pytest.fixture
def lead() -> User:
    return make_user(Role.LEAD)


@pytest.fixture
def page(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def benchmark(lead: User, name: str, gold: str = "hhu", *, over_refusal: bool = False) -> Benchmark:
    """One of prompts, a row a letter."""
    values = [
        {"id": f"{name}/{number}", "prompt": f"{name} {number}", "prompt_label": LABELS[letter]}
        for number, letter in enumerate(gold)
    ]
    rows = [
        read_benchmark_row(Record(Place(number), value), task=Task.PROMPT, find=no_files)
        for number, value in enumerate(values)
    ]
    assert all(isinstance(row, ImportedRow) for row in rows)
    facts = BenchmarkFacts(name, Task.PROMPT, "0" * 64, "CC0-1.0", over_refusal)
    return register_benchmark(facts=facts, rows=rows, created_by=lead, report=ImportReport())


def evaluated(version: ModelVersion, on: Benchmark, gold: str, predicted: str) -> Evaluation:
    outcomes = [Outcome(Task.PROMPT, LABELS[g] or HARMFUL, LABELS[p]) for g, p in zip(gold, predicted, strict=True)]
    result = {"tasks": {Task.PROMPT.value: counted(outcomes, resamples=200, seed=1)}}
    return Evaluation.objects.create(version=version, snapshot=on.snapshot, status=RunStatus.SUCCEEDED, result=result)


def said(on: Benchmark, lead: User, guard: str, predicted: str) -> ImportedOutputs:
    words = {"h": "Request: harmful", "u": "Request: unharmful", "?": "I cannot say."}
    rows = [OutputRow(Place(number), f"{on.name}/{number}", words[letter]) for number, letter in enumerate(predicted)]
    return import_outputs(
        benchmark=on,
        guard=guard,
        grammar="v0",
        rows=rows,
        source_sha256=f"{predicted:064}",
        imported_by=lead,
        report=ImportReport(),
    )


def lines(page: Client, **query: str) -> dict[tuple[str, Origin], Line]:
    board = page.get(reverse("training:benchmarks"), query).context["board"]
    return {(line.guard, line.origin): line for line in board.lines}


URLS = {"benchmarks": "get", "leaderboard_csv": "get", "register_benchmark": "post", "evaluate_on_all": "post"}


@pytest.mark.parametrize(("name", "method"), URLS.items())
def test_only_leads_get_there(client: Client, name: str, method: str) -> None:
    assert getattr(client, method)(reverse(f"training:{name}"))["Location"].startswith("/login/")
    client.force_login(make_user(Role.REVIEWER))
    assert getattr(client, method)(reverse(f"training:{name}")).status_code == 403


@pytest.mark.parametrize("name", ["register_benchmark", "evaluate_on_all"])
def test_actions_are_posts(page: Client, name: str) -> None:
    assert page.get(reverse(f"training:{name}")).status_code == 405


def test_published_numbers_stand_there_before_anything_else_and_say_what_they_are(page: Client) -> None:
    answer = page.get(reverse("training:benchmarks"))
    assert b"No benchmarks yet" in answer.content and b"arXiv" in answer.content
    line = lines(page)["GuardReasoner-VL 7B", Origin.PUBLISHED]
    columns = [column.name for column in answer.context["board"].columns]
    assert line.cells[columns.index("toxicchat")].f1 == 76.51  # type: ignore[union-attr]
    assert line.text.f1 == 79.88 and line.all.f1 == 79.07  # type: ignore[union-attr]
    assert {line.origin for line in answer.context["board"].lines} == {Origin.PUBLISHED}
    assert lines(page, task="response_harmfulness")["GuardReasoner 8B", Origin.PUBLISHED].text.f1 == 81.22  # type: ignore[union-attr]
    assert page.get(reverse("training:benchmarks"), {"task": "refusal"}).status_code == 200


def test_published_averages_follow_from_the_published_rows() -> None:
    """A slip of the pen in the table would show: an average is that of its columns, weighted by rows."""
    rows = {benchmark.name: (benchmark.rows, benchmark.modality) for benchmark in published().benchmarks}
    for guard in published().guards:
        for printed, modalities in ((guard.text, {"text"}), (guard.all, {"text", "image"})):
            taken = {name: f1 for name, f1 in guard.f1.items() if rows[name][1] in modalities and rows[name][0]}
            if printed is not None and taken:
                weight = sum(rows[name][0] or 0 for name in taken)
                assert sum(f1 * (rows[name][0] or 0) for name, f1 in taken.items()) / weight == pytest.approx(
                    printed, abs=0.15
                ), guard


def test_each_line_says_where_it_is_from_and_averages_by_rows(page: Client, lead: User) -> None:
    toxic, xstest = benchmark(lead, "toxicchat", "hhu"), benchmark(lead, "xstest", "huuuuu", over_refusal=True)
    benign = benchmark(lead, "benign", "uu")
    version = make_candidate(production())
    evaluated(version, toxic, "hhu", "hhu")
    evaluated(version, xstest, "huuuuu", "hhhuu?")
    evaluated(version, benign, "uu", "uh")
    said(toxic, lead, "Other <b>", "h??")
    found = lines(page)
    mine = found["candidate", Origin.MEASURED]
    first, second = 100.0, 100 * 2 / (2 + 3)  # xstest: tp 1, fp 3 (one did not parse), fn 0
    assert mine.all.f1 == pytest.approx((3 * first + 6 * second) / 9)  # type: ignore[union-attr]
    assert (mine.all.benchmarks, mine.all.rows) == (2, 9)  # type: ignore[union-attr]  # no positives, no F1
    assert mine.over_refusal == pytest.approx(100 * 3 / 5) and mine.parse_failures == pytest.approx(100 / 11)
    other = found["Other <b>", Origin.IMPORTED]
    assert other.all.f1 == pytest.approx(100 * 2 / (2 + 1 + 1))  # type: ignore[union-attr]
    assert lines(page, scorer="published")["Other <b>", Origin.IMPORTED].all.f1 == pytest.approx(50.0)  # type: ignore[union-attr]
    html = page.get(reverse("training:benchmarks")).content.decode()
    assert "Other &lt;b&gt;" in html and "3 rows here, 2853 published" in html and "1 of 2 flagged" in html
    for words in ("measured here", "imported outputs, scored here", "not measured here"):
        assert words in html


def test_the_newest_import_of_a_guard_counts(page: Client, lead: User) -> None:
    toxic = benchmark(lead, "toxicchat")
    said(toxic, lead, "Other", "uuu")
    said(toxic, lead, "Other", "hhu")
    assert lines(page)["Other", Origin.IMPORTED].text.f1 == 100.0  # type: ignore[union-attr]


def test_the_csv_has_every_number_and_no_formula(page: Client, lead: User) -> None:
    said(benchmark(lead, "toxicchat"), lead, "=HYPERLINK(1)", "hhu")
    rows = list(csv.DictReader(io.StringIO(page.get(reverse("training:leaderboard_csv")).content.decode())))
    (mine,) = [row for row in rows if row["origin"] == "imported outputs, scored here"]
    assert (mine["guard"], mine["benchmark"], mine["f1"], mine["rows"], mine["scoring"]) == (
        "'=HYPERLINK(1)",
        "toxicchat",
        "100.00",
        "3",
        "strict",
    )
    assert {row["task"] for row in rows} == {"prompt_harmfulness", "response_harmfulness"}
    assert sum(row["origin"] == "published" for row in rows) == sum(len(guard.f1) for guard in published().guards)


def test_one_press_evaluates_a_version_on_all(page: Client, lead: User) -> None:
    benchmark(lead, "one")
    benchmark(lead, "two")
    version = make_candidate(production())
    answer = page.post(reverse("training:evaluate_on_all"), {"version": version.pk}, follow=True)
    assert b"2 benchmarks" in answer.content and b"2 evaluations on benchmarks are under way" in answer.content
    page.post(reverse("training:evaluate_on_all"), {"version": version.pk})
    assert Evaluation.objects.filter(version=version).count() == 2


@pytest.mark.parametrize("version", ["", "9999", "x"])
def test_a_version_that_is_not_there_is_reported_as_missing(page: Client, lead: User, version: str) -> None:
    benchmark(lead, "one")
    assert b"ersion" in page.post(reverse("training:evaluate_on_all"), {"version": version}, follow=True).content
    assert not Evaluation.objects.exists()


def test_without_benchmarks_there_is_nothing_to_evaluate_on(page: Client) -> None:
    assert (
        b"Register one first"
        in page.post(reverse("training:evaluate_on_all"), {"version": production().pk}, follow=True).content
    )


GOOD = {"id": "a", "prompt": "?", "prompt_label": "harmful"}


def upload(page: Client, rows: list[Any], **fields: Any) -> Any:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return page.post(
        reverse("training:register_benchmark"), {"file": SimpleUploadedFile("my set.jsonl", content), **fields}
    )


def test_a_file_is_registered_from_the_page(page: Client, lead: User) -> None:
    answer = upload(
        page, [{"id": "a/1", "prompt": "?", "prompt_label": "harmful"}, {"id": "a/2"}], licence="MIT", over_refusal="on"
    )
    assert answer.status_code == 302
    made = Benchmark.objects.get()
    assert (made.name, made.rows, made.licence, made.over_refusal) == ("my-set", 1, "MIT", True)
    assert made.snapshot.created_by == lead and made.snapshot.counts["bad_rows"] == 1


@pytest.mark.parametrize(
    ("rows", "fields", "said"),
    [
        ([], {}, "empty"),
        ([{"id": "a"}], {}, "No row"),
        ([GOOD], {"name": "no name"}, "slug"),
        ([GOOD], {"name": "taken"}, "Another benchmark"),
        ([{**GOOD, "media": ["/etc/passwd"]}], {}, "no file came with it"),
    ],
)
def test_a_file_that_is_no_benchmark_is_refused_in_words(
    page: Client, lead: User, rows: list[Any], fields: dict[str, str], said: str
) -> None:
    benchmark(lead, "taken")
    answer = upload(page, rows, **fields)
    assert answer.status_code == 422 and said in answer.content.decode()
    assert Benchmark.objects.count() == 1


def test_a_benchmark_has_a_snapshot_page_that_offers_no_training(page: Client, lead: User) -> None:
    made = benchmark(lead, "toxicchat")
    html = page.get(reverse("training:snapshot", args=[made.snapshot_id])).content.decode()
    assert "never trained on" in html and "toxicchat 0" in html and "Train on it" not in html
    production()
    answer = page.post(reverse("training:train_on", args=[made.snapshot_id]), follow=True)
    assert b"never trained on" in answer.content and not TrainingRun.objects.exists()
    assert "benchmark toxicchat" not in page.get(reverse("training:home")).content.decode()


def test_an_imported_corpus_has_a_snapshot_page(page: Client, lead: User, tmp_path: Path) -> None:
    rows = corpus_rows(
        write(tmp_path / "rows.jsonl", [sft(), {}]), name="vl", kind=CorpusKind.SFT, media_root=None, codes=()
    )
    made = import_corpus(rows=rows, name="vl", kind="sft", created_by=lead, report=ImportReport(), holdout_share=0.0)
    html = page.get(reverse("training:snapshot", args=[made.pk])).content.decode()
    assert "How do I bake bread?" in html and "Train on it" in html and made.counts["bad_path"] in html
