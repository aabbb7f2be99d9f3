"""The Celery app. Workers: `celery -A guardapp.celery worker -Q inference -P solo`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
app = Celery("guardapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["annotation", "training"])
