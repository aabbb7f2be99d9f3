"""One item holds its neighbours for one claim at most, and takes no other with it: real workers, killed for real."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from annotation.models import Item
from annotation.predictions.claims import claim_apart, claim_pending, release_stale_claims
from annotation.predictions.predict import predict_pending
from annotation.predictions.production import production_version
from annotation.predictions.turns import APART_RATE, CREDIT_S, Turns
from annotation.status import ItemStatus
from guardapp.guard.verdict import Sample
from tests.annotation.scripted_engine import ScriptedEngine
from tests.factories import make_item, production
from tests.made_once import Migrated
from tests.paths import ROOT

# of tests.cases.dying_worker, which no other process imports
POISON = "This kills its worker."
ITEMS = 24


def worker(folder: Path, what: str) -> int:
    environment = os.environ | {
        "GUARDAPP_DATA": str(folder),
        "GUARDAPP_CLAIM_SECONDS": "1",
        "DJANGO_SETTINGS_MODULE": "guardapp.settings",
    }
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "tests.cases.dying_worker", what]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=240, check=False).returncode


@pytest.mark.slow
@pytest.mark.faults
def test_an_item_that_kills_its_worker_fails_alone_and_costs_its_neighbours_one_claim(
    tmp_path: Path, migrated: Migrated
) -> None:
    migrated(tmp_path)
    assert worker(tmp_path, "seed") == 0
    ends = [worker(tmp_path, "work")]
    while ends[-1] != 0:
        ends.append(worker(tmp_path, "work"))
        assert len(ends) < 10
    assert ends == [-signal.SIGKILL] * 3 + [0]
    with sqlite3.connect(tmp_path / "guardapp.sqlite3") as database:
        rows = database.execute("SELECT prompt, status, attempts, error_code FROM annotation_item").fetchall()
    poison = [row[1:] for row in rows if row[0] == POISON]
    others = [row[1:3] for row in rows if row[0] != POISON]
    assert poison == [("prediction_failed", 3, "worker_died")]
    assert {status for status, _ in others} == {"ready"}
    assert len(others) == ITEMS - 1 and max(attempts for _, attempts in others) == 2
    assert sum(attempts == 2 for _, attempts in others) == 15


@pytest.mark.django_db
def test_after_a_failed_attempt_items_are_claimed_one_by_one() -> None:
    items = [make_item(status=ItemStatus.PENDING, predicted=False) for _ in range(5)]
    claim = claim_pending(limit=4)
    assert len(claim.rows) == 4
    claim.held().update(claimed_until="2020-01-01T00:00:00Z")
    release_stale_claims()
    assert [row.pk for row in claim_pending(limit=4).rows] == [items[4].pk]
    assert len(claim_pending(limit=4).rows) == 1
    assert len(claim_apart(limit=4).rows) == 1


@pytest.mark.django_db
def test_items_apart_get_a_share_of_the_time_while_others_wait_and_all_of_it_else() -> None:
    apart = {make_item(status=ItemStatus.PENDING, predicted=False, apart=True).pk for _ in range(3)}
    for _ in range(12):
        make_item(status=ItemStatus.PENDING, predicted=False)
    turns, order, clock = Turns(), [], 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("annotation.predictions.turns.time.monotonic", lambda: clock)
        while (claim := turns.claim(1)).rows:
            with turns.spent_on(claim):
                clock += CREDIT_S
            order.append(claim.rows[0].pk in apart)
            claim.held().update(status=ItemStatus.READY, claim_token=None)
    # as long as four of the others, and the rest once they are done
    first = round(1 / APART_RATE) * [False]
    assert order == [*first, True, *first, True, *first, True]


@pytest.mark.django_db
def test_long_items_do_not_hold_ordinary_ones_that_came_after_them() -> None:
    production("starter")
    long = [make_item(status=ItemStatus.PENDING, predicted=False, prompt="long " * 3_000) for _ in range(3)]
    make_item(status=ItemStatus.PENDING, predicted=False, prompt="How do I bake bread?")
    engine = CountingEngine()
    done = predict_pending(engine=engine, version=production_version(), limit=8)
    assert (done.count, done.apart) == (1, 3)
    assert engine.asked == [["How do I bake bread?"]]
    assert Item.objects.filter(pk__in=[item.pk for item in long], apart=True, attempts=0).count() == 3
    assert sum(predict_pending(engine=engine, version=production_version(), limit=8).count for _ in range(3)) == 3


class CountingEngine(ScriptedEngine):
    """A scripted engine that counts words as tokens, with a large context."""

    context: int | None = 100_000

    def prompt_tokens(self, sample: Sample) -> int:
        return len((sample.prompt + (sample.response or "")).split())
