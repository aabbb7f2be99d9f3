"""WSGI entry point of the web processes."""

import gc
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from guardapp.celery import app as celery_app
from guardapp.subpath import under_path
from guardapp.tracing import start_tracing

__all__ = ["application", "celery_app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
# web threads share connections; a solo worker has one thread and keeps its own
os.environ.setdefault("GUARDAPP_DATABASE_POOL", "8")
start_tracing("web")
application = under_path(get_wsgi_application(), settings.URL_PATH)
# import all views now, so that the first request to each process does not wait for it
_ = get_resolver().url_patterns
gc.collect()
# exclude permanent objects from later garbage collections
gc.freeze()
