"""The real web application, without the step of collecting static files: `gunicorn tests.faults.web`."""

from django.conf import settings

from guardapp.wsgi import application

__all__ = ["application"]
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
