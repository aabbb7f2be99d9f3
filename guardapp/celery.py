"""The Celery app. Workers: `celery -A guardapp.celery worker -Q inference -P solo`."""

import os

from celery import Celery
from celery.signals import beat_init, worker_init

from guardapp.tracing import start_tracing
from guardapp.worker_alive import start_pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
app = Celery("guardapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["annotation", "training"])
# Celery's current app is thread-local, and web threads and commands send tasks too.
app.set_default()


@worker_init.connect  # type: ignore[untyped-decorator]
def trace_tasks(**_: object) -> None:
    start_tracing("worker")


@worker_init.connect  # type: ignore[untyped-decorator]
@beat_init.connect  # type: ignore[untyped-decorator]
def show_life(**_: object) -> None:
    start_pulse()
