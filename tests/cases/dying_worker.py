"""A worker that a poisonous item kills: `python -m tests.cases.dying_worker seed|work`.

`work` ends when nothing waits.
"""

import os
import signal
import sys
import time

import django

django.setup()

from annotation.models import Item, ReviewQueue  # noqa: E402
from annotation.predictions.claims import release_stale_claims  # noqa: E402
from annotation.predictions.loaded_engine import ensure_production_version  # noqa: E402
from annotation.predictions.predict import predict_pending  # noqa: E402
from annotation.status import ItemStatus  # noqa: E402
from guardapp.guard.verdict import Sample  # noqa: E402
from tests.annotation.scripted_engine import HARMFUL, ScriptedEngine  # noqa: E402

POISON = "This kills its worker."
ITEMS = 24


def seed() -> None:
    ensure_production_version()
    queue = ReviewQueue.objects.get(slug="default")
    Item.objects.bulk_create(
        Item(
            source="test",
            external_id=str(number),
            modality="text",
            prompt=POISON if number == 5 else f"How do I bake loaf {number}?",
            content_hash=str(number),
            queue=queue,
        )
        for number in range(ITEMS)
    )


def says(sample: Sample, draw: int) -> str:
    if sample.prompt == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return HARMFUL


def work() -> None:
    version = ensure_production_version()
    while True:
        release_stale_claims()
        if not Item.objects.filter(status__in=[ItemStatus.PENDING, ItemStatus.PREDICTING]).exists():
            return
        if not predict_pending(engine=ScriptedEngine(says), version=version, limit=16).claimed:
            time.sleep(0.1)


if __name__ == "__main__":
    {"seed": seed, "work": work}[sys.argv[1]]()
