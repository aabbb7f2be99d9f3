"""A training worker in a process of its own, for the tests that kill it: `python -m tests.training.worker setup|work CHECKPOINT`."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402

from tests.factories import production  # noqa: E402
from tests.training.rows import make_snapshot  # noqa: E402
from training.services.execution import execute_next  # noqa: E402
from training.services.runs import request_run  # noqa: E402


def setup(checkpoint: str) -> None:
    call_command("migrate", verbosity=0)
    version = production(checkpoint)
    snapshot = make_snapshot(40)
    request_run(snapshot=snapshot, base_version=version, requested_by=snapshot.created_by,
                overrides={"max_steps": 60, "batch_size": 2, "save_every": 2, "log_every": 1, "cutoff_tokens": 1024})


def work() -> None:
    execute_next()


if __name__ == "__main__":
    setup(sys.argv[2]) if sys.argv[1] == "setup" else work()
