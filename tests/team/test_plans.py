"""What is done all day is planned by an index, on a real PostgreSQL with enough rows that a plan says something."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

ITEMS = 20_000
FULL = {f"annotation_{name}" for name in ("item", "prediction", "assignment", "review", "goldlabel", "event")}
CONTROL = "a control: no index serves it"
SERVED_BY = {
    "next and submit": "item_next_in_queue",
    "claim of a batch": "item_next_to_predict",
    "leases that ran out": "assignment_leases",
    "claims that ran out": "item_stale_claims",
    "lists of leads": "item_newest_by_status",
    "items {'external_id': 'item-1999'}": "item_external_id_begins",
    "items {'text': 'zebra'}": "annotation_itemtext_trigrams",
    "reviews of a day": "review_by_time",
}
SCAN = re.compile(r"Seq Scan on (\w+)")


@pytest.mark.services
@pytest.mark.slow
def test_no_hot_statement_reads_a_whole_table(tmp_path: Path, migrated_postgres_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": migrated_postgres_url, "GUARDAPP_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.team.plans", str(ITEMS)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    plans = json.loads(done.stdout.splitlines()[-1])
    assert len({row["work"] for row in plans}) > 25
    whole = [row for row in plans if FULL.intersection(SCAN.findall("\n".join(row["plan"])))]
    bad = [row for row in whole if row["work"] != CONTROL]
    assert not bad, "\n\n".join("\n".join([row["work"], row["sql"][:1_500], *row["plan"]]) for row in bad)
    assert len(whole) == 1, "the control must be planned as a read of the whole table, or this test says nothing"
    used = {(row["work"], index) for row in plans for index in SERVED_BY.values() if index in "\n".join(row["plan"])}
    assert set(SERVED_BY.items()) <= used
