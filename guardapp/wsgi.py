"""WSGI entry point of the web processes."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from guardapp.celery import app as celery_app
from guardapp.tracing import start_tracing

__all__ = ["application", "celery_app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
# web threads share connections; a solo worker has one thread and keeps its own
os.environ.setdefault("GUARDAPP_DATABASE_POOL", "8")
start_tracing("web")
application = get_wsgi_application()
# import all views now, so that the first request to each process does not wait for it
_ = get_resolver().url_patterns
gc.collect()
# exclude permanent objects from later garbage collections
gc.freeze()
