"""Mining: what is drawn, kept and used again, and that stopping in the middle changes none of it."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.rl.mining import KeepRuleUnknown
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Verdict
from tests.guard.chat_server import chat_server
from tests.guard.tiny_checkpoint import COMPLETION
from tests.training.tiny_run import evaluate_run, metrics, mixed_rows, result, run_here, trained_guard, write_rows
from training.contract import (
    CANCEL,
    CONFIG,
    EXIT_CANCELLED,
    MINED,
    PREDICTIONS,
    ROWS,
    MineConfig,
    read_json,
    write_json,
)
from training.jobs import evaluate, mine
from training.learning import heartbeat
from training.learning.json_lines import read_lines
from training.learning.rows import Row, RowsShareAnId, read_rows

SECONDS = ("seconds", "rollouts_per_s")
RIGHT_OF_TEXT = COMPLETION.format(topic="bake bread", label="unharmful")
WRONG_OF_TEXT = COMPLETION.format(topic="bake bread", label="harmful")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_guard(tmp_path_factory)


def mine_run(folder: Path, model: Path, *, rows: int = 12, **config: Any) -> Path:
    folder.mkdir(parents=True)
    dataset = write_rows(folder / "snapshot.jsonl", mixed_rows(folder / "media", rows), folder / "media")
    settings: dict[str, Any] = {
        "version": "v1",
        "rollouts": 4,
        "batch_size": 4,
        "max_new_tokens": 64,
        "temperature": 1.3,
        "threads": 1,
    }
    write_json(
        folder / CONFIG,
        asdict(
            MineConfig(model=str(model), dataset=str(dataset), media_root=str(folder / "media"), **(settings | config))
        ),
    )
    return folder


def change(run_dir: Path, **config: Any) -> None:
    before = read_json(run_dir / CONFIG)
    assert before is not None
    write_json(run_dir / CONFIG, before | config)


def numbers(run_dir: Path) -> dict[str, Any]:
    return {key: value for key, value in result(run_dir).items() if key not in SECONDS}


def test_rollouts_are_drawn_judged_and_the_kept_rows_written(model: Path, tmp_path: Path) -> None:
    run_dir = mine_run(tmp_path / "run", model)
    assert run_here(mine.main, run_dir) == 0
    lines = {line["id"]: line for line in read_lines(run_dir / MINED)}
    rows = list(read_rows(run_dir / "snapshot.jsonl", run_dir / "media"))
    assert len(lines) == len(rows) == 12
    for row in rows:
        line = lines[row.sample.id]
        assert line["version"] == "v1"
        assert len(line["rollouts"]) == 4
        for rollout in line["rollouts"]:
            assert set(rollout) == {"completion", "parsed", "prompt", "response", "right", "tokens", "reused"}
            gold_response = row.verdict.response
            wanted = rollout["prompt"] == row.verdict.prompt and (
                gold_response is None or rollout["response"] == gold_response
            )
            assert rollout["right"] == wanted
            assert 0 < rollout["tokens"] <= 64
        rights = sum(rollout["right"] for rollout in line["rollouts"])
        assert (line["pass_rate"], line["kept"]) == (rights / 4, rights < 4)
    # drawn, not greedy
    assert len({rollout["completion"] for line in lines.values() for rollout in line["rollouts"]}) > 12

    done = result(run_dir)
    kept = [row for row in rows if lines[row.sample.id]["kept"]]
    assert 0 < done["kept"] == len(kept)
    assert 0 < done["pass_rate"] < 1
    assert (done["rows"], done["drawn"], done["reused"]) == (12, 48, 0)
    assert {name: part["rows"] for name, part in done["by_modality"].items()} == {
        "text": 6,
        "text-image": 3,
        "video": 3,
    }
    assert done["tokens"] == sum(rollout["tokens"] for line in lines.values() for rollout in line["rollouts"])
    assert done["rollouts_per_s"] > 0

    written = list(read_rows(run_dir / ROWS, run_dir / "media"))
    assert [replace(row, extra={}) for row in written] == kept
    assert [row.extra["pass_rate"] for row in written] == [lines[row.sample.id]["pass_rate"] for row in written]
    assert set(written[0].extra["rollouts"][0]) == {"completion", "right", "tokens"}
    last = metrics(run_dir)[-1]
    assert (last["step"], last["rows"], last["pass_rate"]) == (3, 12, done["pass_rate"])
    assert {"parse_failure_rate", "completion_tokens", "rollouts_per_s", "reused"} <= set(last)
    assert run_here(mine.main, run_dir) == 0  # done before: nothing is drawn twice
    assert len(metrics(run_dir)) == 3


@pytest.mark.parametrize(("rule", "rates"), [("all_wrong", {0.0}), ("mixed", {0.25, 0.5, 0.75})])
def test_the_rule_decides_what_is_kept(model: Path, tmp_path: Path, rule: str, rates: set[float]) -> None:
    run_dir = mine_run(tmp_path / "run", model, keep=rule)
    assert run_here(mine.main, run_dir) == 0
    lines = read_lines(run_dir / MINED)
    assert {line["id"] for line in read_lines(run_dir / ROWS)} == {
        line["id"] for line in lines if line["pass_rate"] in rates
    }
    assert result(run_dir)[rule] == result(run_dir)["kept"]


def test_known_rollouts_of_the_same_version_are_used_and_only_the_missing_ones_drawn(
    model: Path, tmp_path: Path
) -> None:
    run_dir = mine_run(tmp_path / "run", model, rows=4, known=str(tmp_path / "known.jsonl"))
    known = [
        {"id": "row-0", "version": "v1", "completions": [RIGHT_OF_TEXT] * 3},
        # two too many: six known, four wanted
        {"id": "row-0", "version": "v1", "completions": ["no grammar"] * 3},
        {"id": "row-1", "version": "v0", "completions": ["of another version"] * 4},
        # as a mined.jsonl has it
        {"id": "row-3", "version": "v1", "rollouts": [{"completion": WRONG_OF_TEXT}]},
        {"id": "row-9", "version": "v1", "completions": ["of no row"]},
    ]
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(line) + "\n" for line in known))
    assert run_here(mine.main, run_dir) == 0
    lines = {line["id"]: line for line in read_lines(run_dir / MINED)}
    whole = lines["row-0"]["rollouts"]
    assert [(rollout["completion"], rollout["right"], rollout["parsed"], rollout["reused"]) for rollout in whole] == [
        *[(RIGHT_OF_TEXT, True, True, True)] * 3,
        ("no grammar", False, False, True),
    ]
    assert whole[0]["tokens"] > whole[3]["tokens"] > 0
    assert not any(rollout["reused"] for name in ("row-1", "row-2") for rollout in lines[name]["rollouts"])
    assert [rollout["reused"] for rollout in lines["row-3"]["rollouts"]] == [True, False, False, False]
    assert lines["row-3"]["rollouts"][0]["right"] is False
    assert (result(run_dir)["reused"], result(run_dir)["drawn"]) == (5, 11)

    again = mine_run(tmp_path / "again", model, rows=4, known=str(run_dir / MINED))
    # mined by the same version before: nothing is left to draw
    assert run_here(mine.main, again) == 0
    assert (result(again)["reused"], result(again)["drawn"]) == (16, 0)
    assert result(again)["pass_rate"] == result(run_dir)["pass_rate"]
    other = mine_run(tmp_path / "other", model, rows=4, known=str(run_dir / MINED), version="v2")
    assert run_here(mine.main, other) == 0
    assert result(other)["drawn"] == 16


def test_a_mining_stopped_between_batches_and_inside_one_ends_with_the_same_rollouts(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, stopped = (mine_run(tmp_path / name, model) for name in ("whole", "stopped"))
    assert run_here(mine.main, whole) == 0
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "cancel_requested", lambda run_dir: len(metrics(run_dir)) >= 2)
        assert run_here(mine.main, stopped) == EXIT_CANCELLED
    assert len(read_lines(stopped / MINED)) == 8
    assert not (stopped / "result.json").exists()
    content = (stopped / MINED).read_bytes()
    (stopped / MINED).write_bytes(content[:-100])  # killed while it wrote the eighth line
    (stopped / CANCEL).unlink(missing_ok=True)
    assert run_here(mine.main, stopped) == 0
    assert sorted(map(str, read_lines(stopped / MINED))) == sorted(map(str, read_lines(whole / MINED)))
    assert (stopped / ROWS).read_bytes() == (whole / ROWS).read_bytes()
    assert numbers(stopped) == numbers(whole)


@pytest.mark.faults
@pytest.mark.slow
def test_a_killed_mining_goes_on(model: Path, tmp_path: Path) -> None:
    run_dir = mine_run(tmp_path / "run", model, rows=60, batch_size=2)
    process = subprocess.Popen([sys.executable, "-m", "training.jobs.mine", str(run_dir)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not metrics(run_dir):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    before = len(read_lines(run_dir / MINED))
    assert 0 < before < 60
    assert run_here(mine.main, run_dir) == 0
    ids = [line["id"] for line in read_lines(run_dir / MINED)]
    assert len(ids) == len(set(ids)) == 60
    assert result(run_dir)["drawn"] == 240


def test_only_labelled_rows_of_the_split_are_mined_and_ids_must_differ(model: Path, tmp_path: Path) -> None:
    run_dir = mine_run(tmp_path / "run", model, rows=4)
    rows: list[Row] = mixed_rows(run_dir / "media", 4)
    unlabelled = replace(rows[1], verdict=Verdict())
    no_response = replace(rows[2], verdict=Verdict(response=Harmfulness.HARMFUL))
    write_rows(
        run_dir / "snapshot.jsonl",
        [replace(rows[0], split="holdout"), unlabelled, no_response, rows[3]],
        run_dir / "media",
    )
    assert run_here(mine.main, run_dir) == 0
    assert [line["id"] for line in read_lines(run_dir / MINED)] == ["row-3"]

    twice = mine_run(tmp_path / "twice", model, rows=1)
    write_rows(twice / "snapshot.jsonl", [rows[0]] * 2, run_dir / "media")
    with pytest.raises(RowsShareAnId, match="row-0"):
        run_here(mine.main, twice)
    change(twice, keep="hard")
    with pytest.raises(KeepRuleUnknown, match="hard"):
        run_here(mine.main, twice)


def test_what_a_row_has_besides_its_fields_survives_mining(model: Path, tmp_path: Path) -> None:
    run_dir = mine_run(tmp_path / "run", model, rows=1)
    row = replace(mixed_rows(run_dir / "media", 1)[0], extra={"item": "source/17"})
    write_rows(run_dir / "snapshot.jsonl", [row], run_dir / "media")
    change(run_dir, max_new_tokens=2)  # too short to be right
    assert run_here(mine.main, run_dir) == 0
    assert read_lines(run_dir / ROWS)[0]["item"] == "source/17"


def test_servers_that_hold_the_guard_draw_for_a_mining_and_answer_an_evaluation(model: Path, tmp_path: Path) -> None:
    rows = [
        replace(row, split=split)
        for row, split in zip(mixed_rows(tmp_path / "media", 4)[::3], ("train", "holdout"), strict=True)
    ]
    dataset = write_rows(tmp_path / "texts.jsonl", rows, tmp_path / "media")
    with chat_server(HfEngine(str(model), device="cpu", threads=1)) as server:
        mining = mine_run(
            tmp_path / "run", model, engine="server", vllm_url=f"{server.url}, http://127.0.0.1:1", rollouts=2
        )
        change(mining, dataset=str(dataset))
        assert run_here(mine.main, mining) == 0
        [line] = read_lines(mining / MINED)
        assert len(line["rollouts"]) == 2 and server.asked[-1]["n"] == 2
        evaluation = evaluate_run(tmp_path / "evaluation", model, engine="server", vllm_url=server.url)
        change(evaluation, dataset=str(dataset), split="holdout")
        assert run_here(evaluate.main, evaluation) == 0
    [answer] = read_lines(evaluation / PREDICTIONS)
    alone = evaluate_run(tmp_path / "alone", model)
    change(alone, dataset=str(dataset), split="holdout")
    assert run_here(evaluate.main, alone) == 0
    [wanted] = read_lines(alone / PREDICTIONS)
    assert (answer["completion"], answer["predicted"]) == (wanted["completion"], wanted["predicted"])
