"""Snapshots: create one, view it, train on it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.predictions.production import production_or_none
from annotation.web.permissions import leads_only, person
from training.models import DatasetSnapshot
from training.pages.home_forms import RetrainForm, first_error
from training.pages.refusals import attempt, ring_workers
from training.runs.request import request_run
from training.snapshots.create import create_snapshot
from training.snapshots.selectors import first_rows
from training.status import SnapshotOrigin
from training.versions import lists


@require_POST
@leads_only
def take_snapshot(request: HttpRequest) -> HttpResponse:
    """Create a snapshot without a run."""
    form = RetrainForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:home")
    made = attempt(
        request,
        lambda: create_snapshot(created_by=person(request), name=form.cleaned_data["name"], filters=form.filters()),
    )
    return redirect("training:home") if made is None else redirect("training:snapshot", made.pk)


@require_safe
@leads_only
def snapshot(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    found = get_object_or_404(lists.snapshots(), pk=snapshot_id)
    return render(
        request,
        "training/snapshots/page.html",
        {
            "snapshot": found,
            "runs": found.runs.select_related("version").order_by("-id"),
            "evaluations": lists.evaluations(snapshot=found),
            "examples": lists.example_rows(found),
            "file_rows": () if found.origin == SnapshotOrigin.REVIEWS else first_rows(found),
        },
    )


@require_POST
@leads_only
def train_on(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    """Start a run from production on an existing snapshot."""
    found = get_object_or_404(DatasetSnapshot, pk=snapshot_id)
    base = production_or_none()
    if base is None:
        messages.error(request, _("No version is in production yet, so there is nothing to train from."))
        return redirect("training:snapshot", found.pk)
    made = attempt(request, lambda: request_run(snapshot=found, base_version=base, requested_by=person(request)))
    if made is None:
        return redirect("training:snapshot", found.pk)
    ring_workers()
    return redirect("training:run", made.pk)
