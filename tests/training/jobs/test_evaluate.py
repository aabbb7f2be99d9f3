"""Evaluation: the numbers, and that stopping in the middle changes none of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guardapp.guard.taxonomy import DEFAULT_CODES
from tests.annotation.scripted_engine import HARMFUL, ScriptedEngine
from tests.training.tiny_run import evaluate_run, metrics, mixed_rows, result, run_here, trained_guard, write_rows
from training.contract import CANCEL, EXIT_CANCELLED, PREDICTIONS, read_json, write_json
from training.jobs import evaluate
from training.learning import heartbeat
from training.learning.json_lines import append_line, read_lines
from training.learning.rows import RowsShareAnId
from training.learning.scoring import scored

NOT_A_NUMBER_OF_THE_MODEL = ("seconds", "ms_per_row", "ms_p95")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_guard(tmp_path_factory)


def test_a_category_that_a_lead_added_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job knows no policy: the rows bring its codes."""
    says = HARMFUL.replace("Violent crimes (S1)", "Knives (KNIVES)")
    monkeypatch.setattr(evaluate, "guard_engine", lambda config, batch_size: ScriptedEngine(lambda *_: says))
    run_dir = evaluate_run(tmp_path / "run", Path("none"), rows=2)
    plain, added = mixed_rows(tmp_path / "run" / "media", 2)
    added = replace(added, sample=replace(added.sample, codes=DEFAULT_CODES | {"KNIVES"}))
    write_rows(run_dir / "rows.jsonl", [plain, added], run_dir / "media")
    assert run_here(evaluate.main, run_dir) == 0
    found = {line["id"]: line["predicted_categories"] for line in read_lines(run_dir / PREDICTIONS)}
    assert found == {plain.sample.id: [], added.sample.id: ["KNIVES"]}


def numbers(run_dir: Path) -> dict[str, Any]:
    return {key: value for key, value in result(run_dir).items() if key not in NOT_A_NUMBER_OF_THE_MODEL}


def test_the_result_scores_by_task_modality_and_source(model: Path, tmp_path: Path) -> None:
    run_dir = evaluate_run(tmp_path / "run", model)
    assert run_here(evaluate.main, run_dir) == 0
    done = result(run_dir)
    assert (done["rows"], done["parse_failures"], done["unfinished"]) == (12, 0, 0)
    prompt, response = done["tasks"]["prompt_harmfulness"], done["tasks"]["response_harmfulness"]
    assert (prompt["n"], prompt["tp"], prompt["tn"], prompt["f1"]) == (12, 3, 9, 1.0)
    assert (response["n"], response["tp"]) == (3, 3)  # only the image rows have a response
    assert prompt["f1_low"] <= prompt["f1"] <= prompt["f1_high"]
    assert prompt["average_precision"] == pytest.approx(1.0)
    assert set(done["modalities"]) == {"text", "text-image", "video"}
    assert done["modalities"]["video"]["prompt_harmfulness"]["n"] == 3
    assert list(done["sources"]) == ["made-up"]

    lines = read_lines(run_dir / PREDICTIONS)
    assert len(lines) == 12
    assert set(lines[0]) == {
        "id",
        "completion",
        "parsed",
        "predicted",
        "gold",
        "scores",
        "marginals",
        "rollouts",
        "tokens",
        "finished",
        "ms",
        "modality",
        "source",
        "categories",
        "predicted_categories",
        "windows",
        "watched",
    }
    assert (
        sum(line["tokens"] for line in lines) == done["tokens"] == pytest.approx(12 * done["tokens_per_row"], abs=0.1)
    )
    assert done["ms_p95"] >= done["ms_per_row"] > 0
    assert sum(one["n"] for one in prompt["reliability"]) == 12
    assert done["averages"]["prompt_harmfulness"]["f1"] == 1.0
    progress = read_json(run_dir / "progress.json")
    assert progress is not None
    assert (progress["stage"], progress["done"]) == ("scoring", 12)


def test_an_evaluation_cut_in_the_middle_of_a_line_ends_with_the_same_result(model: Path, tmp_path: Path) -> None:
    whole = evaluate_run(tmp_path / "whole", model)
    assert run_here(evaluate.main, whole) == 0
    lines = (whole / PREDICTIONS).read_bytes().splitlines(keepends=True)

    cut = tmp_path / "cut"
    shutil.copytree(whole, cut)
    (cut / "result.json").unlink()
    (cut / "metrics.jsonl").unlink()
    (cut / PREDICTIONS).write_bytes(b"".join(lines[:5]) + lines[5][:40])
    assert run_here(evaluate.main, cut) == 0
    assert numbers(cut) == numbers(whole)
    assert [line["step"] for line in metrics(cut)] == [8, 12]  # the first batch was not asked again
    ids = [line["id"] for line in read_lines(cut / PREDICTIONS)]
    assert len(ids) == len(set(ids)) == 12


def test_a_cancelled_evaluation_keeps_what_it_has_and_goes_on(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = evaluate_run(tmp_path / "run", model)
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "cancel_requested", lambda run_dir: len(metrics(run_dir)) >= 1)
        assert run_here(evaluate.main, run_dir) == EXIT_CANCELLED
    assert len(read_lines(run_dir / PREDICTIONS)) == 4
    assert not (run_dir / "result.json").exists()
    (run_dir / CANCEL).unlink(missing_ok=True)
    assert run_here(evaluate.main, run_dir) == 0
    assert result(run_dir)["rows"] == 12


def test_completions_cut_short_are_counted_wrong_once_per_task(model: Path, tmp_path: Path) -> None:
    run_dir = evaluate_run(tmp_path / "run", model, rows=4)
    config = read_json(run_dir / "config.json")
    assert config is not None
    write_json(run_dir / "config.json", config | {"max_new_tokens": 5})
    assert run_here(evaluate.main, run_dir) == 0
    done = result(run_dir)
    assert (done["parse_failures"], done["parse_failure_rate"], done["unfinished"]) == (4, 1.0, 4)
    prompt = done["tasks"]["prompt_harmfulness"]
    assert (prompt["tp"], prompt["fp"], prompt["fn"], prompt["tn"], prompt["unparsed"]) == (0, 3, 1, 0, 4)


def test_only_rows_of_the_split_are_scored_and_ids_must_differ(model: Path, tmp_path: Path) -> None:
    run_dir = evaluate_run(tmp_path / "run", model, rows=4)
    media = run_dir / "media"
    rows = mixed_rows(media, 4)
    config = read_json(run_dir / "config.json")
    assert config is not None
    write_rows(run_dir / "rows.jsonl", [replace(rows[0], split="holdout"), *rows[1:]], media)
    write_json(run_dir / "config.json", config | {"split": "holdout"})
    assert run_here(evaluate.main, run_dir) == 0
    assert result(run_dir)["rows"] == 1

    (run_dir / "result.json").unlink()
    write_rows(run_dir / "rows.jsonl", [replace(rows[0], split="holdout")] * 2, media)
    with pytest.raises(RowsShareAnId, match="row-0"):
        run_here(evaluate.main, run_dir)


def test_watched_rows_are_answered_and_count_in_no_number(model: Path, tmp_path: Path) -> None:
    run_dir = evaluate_run(tmp_path / "run", model, rows=4)
    media = run_dir / "media"
    rows = [replace(row, split="holdout" if number < 2 else "train") for number, row in enumerate(mixed_rows(media, 4))]
    write_rows(run_dir / "rows.jsonl", rows, media)
    config = read_json(run_dir / "config.json")
    assert config is not None
    write_json(run_dir / "config.json", config | {"split": "holdout", "watched": ["row-0", "row-3", "gone"]})
    assert run_here(evaluate.main, run_dir) == 0
    assert {line["id"]: line["watched"] for line in read_lines(run_dir / PREDICTIONS)} == {
        "row-0": False,
        "row-1": False,
        "row-3": True,
    }
    assert (result(run_dir)["rows"], result(run_dir)["watched"]) == (2, 1)


def test_scoring_nothing_gives_zeros_not_an_error() -> None:
    done = scored([], resamples=10, seed=0)
    assert (done["rows"], done["parse_failure_rate"], done["tasks"]) == (0, 0.0, {})


def test_half_a_last_line_is_cut_off_before_more_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert read_lines(path) == []
    append_line(path, {"a": 1})
    with path.open("ab") as lines:
        lines.write(json.dumps({"a": "é"}, ensure_ascii=False).encode()[:-2])
    assert read_lines(path) == [{"a": 1}]
    append_line(path, {"a": 2})
    assert read_lines(path) == [{"a": 1}, {"a": 2}]
