"""WSGI entry point: what the web processes serve."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from guardapp.celery import app as celery_app
from guardapp.tracing import start_tracing

__all__ = ["application", "celery_app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
# web threads share connections; solo workers have one thread and keep their own
os.environ.setdefault("GUARDAPP_DATABASE_POOL", "8")
start_tracing("web")
application = get_wsgi_application()
# all that answers is imported now, and not while the first caller of each process waits
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()  # what stays for good is not looked through again each time that garbage is collected
