"""A real Celery worker whose guard is scripted and slow: `celery -A tests.faults.slow_worker worker`."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import django

from guardapp.celery import app

django.setup()

from annotation.models.claims import DELIVERY_CLAIMS  # noqa: E402  (Django must be set up first)
from annotation.outbound import webhooks  # noqa: E402
from annotation.predictions import loaded_engine  # noqa: E402
from guardapp.guard.protocol import Engine  # noqa: E402
from guardapp.guard.verdict import Decoding, Rollout, Sample  # noqa: E402
from tests.annotation.scripted_engine import ScriptedEngine  # noqa: E402

__all__ = ["app"]
SECONDS_A_SAMPLE = float(os.environ.get("SECONDS_A_SAMPLE", "0.02"))


class SlowEngine(ScriptedEngine):
    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        time.sleep(SECONDS_A_SAMPLE * len(samples))
        return super().generate(samples, decoding)


def load(checkpoint: str) -> Engine:
    return SlowEngine()


loaded_engine._load = load

if every := os.environ.get("BELLS_EVERY"):  # seconds: tests are impatient
    app.conf.beat_schedule = {
        name: {**bell, "schedule": timedelta(seconds=float(every))}
        for name, bell in app.conf.beat_schedule.items()
        if bell["task"].startswith("annotation.")
    }
    vars(webhooks)["DELIVERY_CLAIMS"] = replace(DELIVERY_CLAIMS, lasts=timedelta(seconds=3))
