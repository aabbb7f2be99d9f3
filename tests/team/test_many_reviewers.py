"""A crowd of reviewers on a real database, SQLite and PostgreSQL: nothing is lost, nothing happens twice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.made_once import Migrated
from tests.paths import ROOT


def crowd(data: Path, *, items: int, people: int, reviews_per_item: int, database_url: str = "") -> dict[str, Any]:
    environment = {**os.environ, "GUARDAPP_DATA": str(data)}
    environment.pop("DATABASE_URL", None)
    if database_url:
        environment["DATABASE_URL"] = database_url
    done = subprocess.run(
        [sys.executable, "-m", "tests.team.reviewers", str(items), str(people), str(reviews_per_item)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def check(report: dict[str, Any], reviews_per_item: int) -> None:
    assert report["errors"] == []
    assert report["most_at_once"] == reviews_per_item
    assert report["fewest_reviews_an_item"] == report["most_reviews_an_item"] == reviews_per_item
    assert report["most_reviews_a_person_and_item"] == 1
    assert (report["lost"], report["unknown"]) == (0, 0)
    assert report["reviewed"] == report["gold"] == report["items"]
    assert (report["active_left"], report["slots_left"]) == (0, 0)
    assert min(report["acts"][act] for act in ("skipped", "undone", "sent again", "sent twice", "too late")) > 0


def test_a_crowd_on_sqlite_never_meets_a_locked_database(tmp_path: Path, migrated: Migrated) -> None:
    migrated(tmp_path)
    check(crowd(tmp_path, items=80, people=8, reviews_per_item=2), 2)


@pytest.mark.services
@pytest.mark.parametrize("reviews_per_item", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_two_hundred_reviewers_on_postgresql(tmp_path: Path, migrated_postgres_url: str, reviews_per_item: int) -> None:
    report = crowd(
        tmp_path,
        items=240 // reviews_per_item,
        people=200,
        reviews_per_item=reviews_per_item,
        database_url=migrated_postgres_url,
    )
    check(report, reviews_per_item)
    assert report["reviewers"] > 100
