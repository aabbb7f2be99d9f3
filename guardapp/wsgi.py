"""WSGI entry point: what the web processes serve."""

import os

from django.core.wsgi import get_wsgi_application

from guardapp.celery import app as celery_app
from guardapp.tracing import start_tracing

__all__ = ["application", "celery_app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardapp.settings")
os.environ.setdefault("GUARDAPP_DATABASE_POOL", "8")  # web threads share connections; solo workers have one thread and keep their own
start_tracing("web")
application = get_wsgi_application()
