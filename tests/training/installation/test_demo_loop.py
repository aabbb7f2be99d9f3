"""The demonstration: honest halves, and the loop itself on a tiny checkpoint."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from guardapp.guard.splits import normalise_text
from tests.paths import ROOT
from training.installation.demo_rows import FAMILY_OVERLAP, DemoRow, NotEnoughRows, demo_rows, families


def overlap(one: DemoRow, other: DemoRow) -> float:
    first, second = (set(normalise_text(row.prompt).split()) for row in (one, other))
    return len(first & second) / len(first | second)


def test_the_halves_share_no_group_and_hold_as_many_of_each_label(tmp_path: Path) -> None:
    rows = demo_rows(tmp_path, 60)
    assert len(rows.reviewed) == len(rows.untouched) == 60
    for half in (rows.reviewed, rows.untouched):
        assert Counter(row.label for row in half) == {"harmful": 30, "unharmful": 30}
    assert {normalise_text(row.prompt) for row in rows.reviewed}.isdisjoint(
        normalise_text(row.prompt) for row in rows.untouched
    )
    unrelated = [row for row in rows.untouched if row.external_id in rows.unrelated]
    assert unrelated and max(overlap(one, other) for one in rows.reviewed for other in unrelated) < FAMILY_OVERLAP


def test_the_same_rows_are_chosen_every_time(tmp_path: Path) -> None:
    assert demo_rows(tmp_path, 20) == demo_rows(tmp_path, 20)


def test_the_reference_rows_are_taken_where_they_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks_open"
    folder.mkdir()
    words = [f"{a}{b} {c}" for a in "abcdefgh" for b in "xyz" for c in ("one two", "three four")]
    with gzip.open(folder / "hatecheck.jsonl.gz", "wt") as lines:
        for number, text in enumerate(words):
            label = "harmful" if number % 2 else "unharmful"
            row = {"id": f"hatecheck/{number}", "prompt": f"{text} {number}", "response": None, "prompt_label": label}
            lines.write(json.dumps(row) + "\n")
    assert demo_rows(tmp_path, 8).domain.startswith("hatecheck")
    with pytest.raises(NotEnoughRows, match="48 different labelled rows"):
        demo_rows(tmp_path, 400)


def test_rows_that_share_most_words_are_one_family() -> None:
    texts = ["I hate women a lot", "I hate gays a lot", "We hate gays a lot", "Bread needs yeast"]
    found = families([DemoRow(str(number), text, None) for number, text in enumerate(texts)])  # type: ignore[arg-type]
    assert [len(family) for family in found] == [3, 1]


@pytest.mark.slow
def test_the_loop_runs_unattended_and_leaves_the_installation_alone(tmp_path: Path, tiny: Path) -> None:
    own = tmp_path / "own"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GUARDAPP_")} | {
        "GUARDAPP_DATA": str(own),
        "GUARD_MODEL": str(tiny),
        "GUARDAPP_MAX_NEW_TOKENS": "16",
        "GUARDAPP_ROLLOUTS": "0",
        "GUARDAPP_REFERENCE_DATA": str(tmp_path / "none"),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "demo_loop", "--rows", "16", "--set", "max_steps=2"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # a random guard writes no reasoning that parses: the loop must say so, and where
    assert done.returncode != 0 and "rows to train on" in done.stderr + done.stdout
    assert "16 reviewed, 16 of them corrected" in done.stdout
    assert not (own / "guardapp.sqlite3").exists()
    assert not list(tmp_path.glob("guardapp-demo-*"))
