"""Runs of every kind as their jobs leave them, for pictures and for tests of the training pages."""

import json
from dataclasses import asdict

from django.utils import timezone

from annotation.models import User
from tests.factories import production
from tests.training.rows import make_snapshot
from tests.training.run_files import write_grpo, write_lines, write_mined
from training.contract import ENVIRONMENT, LOG, METRICS
from training.files import directory_of
from training.models import DatasetSnapshot, TrainingRun
from training.recipes import DEFAULT, config_for, places_of
from training.status import RunKind, RunStatus

ENVIRONMENT_SEEN = {
    "devices": ["cpu"],
    "processes": 1,
    "cpus": 2,
    "threads": 2,
    "system": "Linux 6.1 x86_64",
    "python": "3.11.7",
    "packages": {"torch": "2.13.0", "transformers": "5.19.0", "trl": "1.16.0"},
}


def make_run(
    lead: User, snapshot: DatasetSnapshot, kind: RunKind, status: RunStatus = RunStatus.RUNNING, **fields: object
) -> TrainingRun:
    """A run with a config of its kind and an empty run directory."""
    config = config_for(DEFAULT, kind, places=dict.fromkeys(places_of(kind), "somewhere"), overrides={})
    run = TrainingRun.objects.create(
        name=f"{kind}-{TrainingRun.objects.count() + 1}",
        kind=kind,
        recipe=DEFAULT,
        snapshot=snapshot,
        base_version=production(),
        requested_by=lead,
        status=status,
        started_at=timezone.now(),
        config=asdict(config),
        **fields,
    )
    directory_of(run).mkdir(parents=True)
    return run


def whole_training(lead: User) -> dict[str, TrainingRun]:
    """A finished fine-tuning and mining, and a GRPO run on its way with a warning."""
    snapshot = make_snapshot(40)
    sft = make_run(lead, snapshot, RunKind.SFT, RunStatus.SUCCEEDED, finished_at=timezone.now())
    write_lines(
        directory_of(sft) / METRICS,
        (
            {
                "step": step,
                "epoch": step / 20,
                "loss": 0.3 + 3 / step,
                "lr": 6e-4 * (1 - step / 120),
                "grad_norm": 0.4 + 1 / step,
                "tokens_per_s": 2_100.0,
            }
            for step in range(2, 121, 2)
        ),
    )
    mine = make_run(lead, snapshot, RunKind.MINE, RunStatus.SUCCEEDED, finished_at=timezone.now(), after=sft)
    write_mined(directory_of(mine), 40)
    grpo = make_run(lead, snapshot, RunKind.GRPO, after=mine, mined_from=mine)
    write_grpo(directory_of(grpo), 60, advantage_max_share=0.9)
    for run in (sft, mine, grpo):
        (directory_of(run) / ENVIRONMENT).write_text(json.dumps(ENVIRONMENT_SEEN))
        (directory_of(run) / LOG).write_text(
            "2026-01-01 12:00:00,000 INFO starting\n2026-01-01 12:00:09,000 INFO step 1\n" * 12
        )
    return {"sft": sft, "mine": mine, "grpo": grpo}
