"""metrics.jsonl while a job writes it, after a kill, and when it has grown long."""

import json
import math
from pathlib import Path

from training.progress.metrics_file import by_step, finite, last_lines, lines_after, thinned


def write(path: Path, *steps: int, mode: str = "a", rest: str = "") -> None:
    with path.open(mode) as file:
        file.write("".join(json.dumps({"step": step, "loss": 1 / step}) + "\n" for step in steps) + rest)


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 1, 2, rest='{"step": 3, "lo')
    first, cursor = lines_after(path, 0)
    assert [line["step"] for line in first] == [1, 2]
    assert lines_after(path, cursor) == ([], cursor)
    write(path, rest='ss": 0.3}\n')
    assert [line["step"] for line in lines_after(path, cursor)[0]] == [3]


def test_a_line_that_a_kill_left_in_half_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 1, rest='{"step": 2, "lo')
    write(path, 2, 3)
    assert [line["step"] for line in lines_after(path, 0)[0]] == [1, 3]


def test_a_file_that_is_shorter_than_the_cursor_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 1)
    assert [line["step"] for line in lines_after(path, 10_000)[0]] == [1]
    assert lines_after(tmp_path / "none.jsonl", 5) == ([], 0)


def test_after_a_resume_the_later_line_of_a_step_stands() -> None:
    lines = [{"step": 1, "loss": 3}, {"step": 2, "loss": 2}, {"step": 2, "loss": 9}, {"rows": 4}]
    assert [(line["step"], line["loss"]) for line in by_step(lines)] == [(1, 3), (2, 9)]


def test_thinning_keeps_the_ends() -> None:
    kept = thinned(range(1, 10_001), 400)
    assert len(kept) == 400 and kept[0] == 1 and kept[-1] == 10_000 and thinned([1, 2], 400) == [1, 2]


def test_the_last_lines_of_a_long_file_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *range(1, 1001))
    found = last_lines(path, 300)
    assert found[-1]["step"] == 1000 and 2 <= len(found) < 20
    assert len(last_lines(path)) == 1000 and last_lines(tmp_path / "none.jsonl") == []


def test_what_json_cannot_say_becomes_none() -> None:
    assert [finite(value) for value in (1, 0.5, math.nan, math.inf, "x", True, None)] == [
        1,
        0.5,
        None,
        None,
        None,
        None,
        None,
    ]
