"""Rollouts that were drawn before: mining does not draw them again."""

import json
from pathlib import Path
from typing import Any

import pytest

from annotation.models import ModelVersion
from tests.factories import production
from tests.training.rows import make_snapshot
from tests.training.runs.test_pipelines import end_next
from training.contract import MINED, MineConfig
from training.files import directory_of
from training.models import DatasetSnapshot, TrainingRun
from training.runs.known_rollouts import known_lines
from training.runs.request import request_run
from training.status import RunKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def snapshot() -> DatasetSnapshot:
    production("somewhere")
    return make_snapshot(40)


def mining(snapshot: DatasetSnapshot, **overrides: Any) -> TrainingRun:
    return request_run(
        snapshot=snapshot,
        base_version=production(),
        requested_by=snapshot.created_by,
        kind=RunKind.MINE,
        overrides={"max_new_tokens": 256, **overrides},
    )


def give_rollouts(count: int = 2, tokens: int = 10) -> None:
    for row in DatasetSnapshot.objects.get().rows.select_related("gold__prediction"):
        prediction = row.gold.prediction
        assert prediction is not None
        prediction.rollouts = [
            {"completion": f"{row.gold.item_id}-{number}", "tokens": tokens} for number in range(count)
        ]
        prediction.save()


def test_rollouts_of_predictions_are_used_again_by_the_same_version(snapshot: DatasetSnapshot, settings: Any) -> None:
    settings.MAX_NEW_TOKENS = 256
    give_rollouts()
    run = mining(snapshot)
    lines = {line["id"]: line for line in known_lines(run, run.config)}
    trained = {str(row.gold.item_id) for row in snapshot.rows.filter(split="train").select_related("gold")}
    assert set(lines) == trained and all(line["version"] == "starter" for line in lines.values())
    one = min(trained)
    assert lines[one]["completions"] == [f"{one}-0", f"{one}-1"]

    run.base_version = ModelVersion.objects.create(name="another", checkpoint="elsewhere")
    assert list(known_lines(run, run.config)) == []


def test_rollouts_of_another_policy_are_not_used(snapshot: DatasetSnapshot, settings: Any) -> None:
    settings.MAX_NEW_TOKENS = 256
    give_rollouts()
    ModelVersion.objects.update(takes_policy=True)
    run = mining(snapshot)
    assert list(known_lines(run, run.config)) == []
    row = snapshot.rows.filter(split="train").select_related("gold__prediction")[0]
    assert row.gold.prediction is not None
    row.gold.prediction.policy_version = row.gold.policy_version
    row.gold.prediction.save()
    assert [line["id"] for line in known_lines(run, run.config)] == [str(row.gold.item_id)]


@pytest.mark.parametrize(
    ("changes", "tokens", "used"),
    [
        ({"temperature": 0.7}, 10, False),
        ({"top_p": 1.0}, 10, False),
        ({"max_new_tokens": 128}, 10, True),
        ({"max_new_tokens": 128}, 128, False),
        ({"max_new_tokens": 512}, 255, True),
        ({"max_new_tokens": 512}, 256, False),
        ({}, 256, True),
    ],
)
def test_only_rollouts_that_mining_could_have_drawn_are_used(
    snapshot: DatasetSnapshot, settings: Any, changes: dict[str, Any], tokens: int, used: bool
) -> None:
    settings.MAX_NEW_TOKENS = 256
    give_rollouts(tokens=tokens)
    run = mining(snapshot, **changes)
    assert bool(list(known_lines(run, run.config))) is used


def test_what_a_mining_drew_the_next_one_of_the_same_version_does_not_draw_again(snapshot: DatasetSnapshot) -> None:
    earlier = mining(snapshot)
    end_next()
    line = {"id": "7", "version": "starter", "rollouts": [{"completion": "said so"}, {"completion": "and so"}]}
    other = {**line, "version": "another"}
    (directory_of(earlier) / MINED).write_text(
        "".join(json.dumps(one) + "\n" for one in (line, other)) + '{"id": "8", "ver'
    )
    again, cooler = mining(snapshot), mining(snapshot, temperature=0.5)
    assert list(known_lines(again, again.config)) == [
        {"id": "7", "version": "starter", "completions": ["said so", "and so"]}
    ]
    assert list(known_lines(cooler, cooler.config)) == []
    kept = end_next()
    assert kept.pk == again.pk and MineConfig(**kept.config).known == str(directory_of(again) / "known.jsonl")
    assert Path(kept.config["known"]).read_text().count("\n") == 1
