"""A training worker in a process of its own, for tests that kill it: `python -m tests.training.worker pipeline|work
CHECKPOINT`.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402

from tests.factories import production  # noqa: E402
from tests.training.rows import make_snapshot  # noqa: E402
from training.runs.execute import execute_next  # noqa: E402
from training.runs.pipelines import request_pipeline  # noqa: E402


def pipeline(checkpoint: str) -> None:
    call_command("migrate", verbosity=0)
    version = production(checkpoint)
    snapshot = make_snapshot(24)
    request_pipeline(
        snapshot=snapshot,
        base_version=version,
        requested_by=snapshot.created_by,
        stages=("mine", "grpo"),
        overrides={
            "mine": {"rollouts": 2, "batch_size": 2, "max_new_tokens": 32},
            "grpo": {
                "max_steps": 6,
                "group_size": 2,
                "prompts_per_batch": 2,
                "update_batch": 4,
                "micro_batch": 4,
                "max_new_tokens": 24,
                "save_every": 1,
                "max_prompt_tokens": 1024,
            },
        },
    )


def work(_checkpoint: str) -> None:
    execute_next()


if __name__ == "__main__":
    {"pipeline": pipeline, "work": work}[sys.argv[1]](sys.argv[2])
