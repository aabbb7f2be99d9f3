"""The doorbells of training: jobs for the training worker, schedules for the default one."""

import threading

from celery import shared_task
from celery.signals import worker_shutting_down

from annotation.doorbell import ring
from training.runs.execute import execute_next
from training.schedules.triggers import check_schedules, fire_by_time

_stopping = threading.Event()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: object) -> None:
    """Let a worker that shuts down stop its job at the next step; another worker resumes from the checkpoint."""
    _stopping.set()


# A message that is older than this has been followed by others. Not less, since clocks may differ by minutes.
@shared_task(name="training.tasks.execute", expires=3_600)  # type: ignore[untyped-decorator]
def execute() -> None:
    while not _stopping.is_set() and execute_next(stopping=_stopping.is_set):
        pass


@shared_task(name="training.tasks.fire_schedule", expires=3_600)  # type: ignore[untyped-decorator]
def fire_schedule(schedule_id: int) -> None:
    """Run by django-celery-beat at a schedule's time."""
    firing = fire_by_time(schedule_id=schedule_id)
    if firing is not None and firing.pipeline is not None:
        ring(execute)


@shared_task(name="training.tasks.look_at_schedules", expires=3_600)  # type: ignore[untyped-decorator]
def look_at_schedules() -> None:
    if check_schedules():
        ring(execute)
