"""The doorbell of the training worker."""

import threading

from celery import shared_task
from celery.signals import worker_shutting_down

from training.services.execution import execute_next

_stopping = threading.Event()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: object) -> None:
    """A worker that is asked to end stops its job at the next step; the job's checkpoint waits for the next worker."""
    _stopping.set()


# a ring that waited longer than that has been followed by others: a long run leaves no heap of them behind
@shared_task(name="training.tasks.execute", expires=120)  # type: ignore[untyped-decorator]
def execute() -> None:
    while not _stopping.is_set() and execute_next(stopping=_stopping.is_set):
        pass
