"""Endpoints for monitoring: liveness, readiness and metrics."""

import secrets
import uuid
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from annotation.doorbell import broker_answers
from annotation.media import bucket
from annotation.models import User
from annotation.predictions.production import production_or_none
from annotation.prometheus import figures


@require_safe
@never_cache
@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness. It checks no other service, so that a database outage restarts no web process."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 503 if requests would fail, without a database or writable media storage.

    An unavailable broker only delays work.
    """
    checks = {"database": _database(), "storage": _storage(), "broker": "ok" if broker_answers() else "away"}
    # without the bucket only media is delayed
    if bucket.in_use():
        checks["media"] = bucket.answers()
    ready = checks["database"] == checks["storage"] == "ok"
    return JsonResponse({"ready": ready, **checks}, status=200 if ready else 503)


@require_safe
@never_cache
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics for Prometheus, with the token from the settings, and for leads."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    expected = settings.METRICS_TOKEN
    scraper = bool(expected) and secrets.compare_digest(given.encode(), expected.encode())
    if not scraper and not (isinstance(request.user, User) and request.user.is_lead):
        raise PermissionDenied("GUARDAPP_METRICS_TOKEN, as a bearer token, or a lead.")
    return HttpResponse(figures(), content_type=CONTENT_TYPE_LATEST)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return "ok" if production_or_none() else "not set up"
    except DatabaseError as error:
        return type(error).__name__


def _storage() -> str:
    probe = Path(settings.MEDIA_ROOT) / f".ready-{uuid.uuid4().hex}"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"ready")
        probe.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return "ok"
