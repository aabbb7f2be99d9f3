"""The training home: gold since the last snapshot, and the button that retrains."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotation.models import User
from annotation.predictions.production import production_or_none
from annotation.web.permissions import leads_only, person
from training.models import TrainingRun
from training.pages.home_forms import RetrainForm, first_error
from training.pages.refusals import attempt, ring_workers
from training.recipes import recipes_with
from training.runs.retrain import retrain, retrain_in_stages
from training.snapshots.create import MIN_HOLDOUT, MIN_TRAIN
from training.status import RunKind, SnapshotOrigin
from training.versions import lists, promotion

SHOWN = 10


@require_safe
@leads_only
def home(request: HttpRequest) -> HttpResponse:
    versions = list(lists.versions()[:SHOWN])
    return render(
        request,
        "training/home/page.html",
        {
            "gold": lists.new_gold(),
            "production": production_or_none(),
            "runs": lists.runs()[:SHOWN],
            "snapshots": lists.snapshots().exclude(origin=SnapshotOrigin.BENCHMARK)[:SHOWN],
            "versions": lists.with_scores(versions),
            "active": lists.active_run(),
            "form": RetrainForm(),
            "recipes": recipes_with(RunKind.SFT),
            "key": uuid.uuid4().hex,
            "needed": MIN_TRAIN + MIN_HOLDOUT,
            "rollback_to": promotion.rollback_target(),
        },
    )


@require_POST
@leads_only
def start(request: HttpRequest) -> HttpResponse:
    """Retrain: a snapshot, a run, and its evaluations."""
    form = RetrainForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:home")
    run = attempt(request, lambda: _started(form, person(request)))
    if run is None:
        return redirect("training:home")
    ring_workers()
    return redirect("training:run", run.pk)


def _started(form: RetrainForm, lead: User) -> TrainingRun:
    """Start the fine-tuning, or all stages, and return the first run. `overrides` apply to the fine-tuning."""
    shared: Mapping[str, Any] = {
        "requested_by": lead,
        "recipe": form.recipe_name(),
        "filters": form.filters(),
        "name": form.cleaned_data["name"],
        "key": form.cleaned_data["key"],
    }
    if not form.cleaned_data["in_stages"]:
        return retrain(**shared, overrides=form.overrides())
    pipeline = retrain_in_stages(**shared, overrides={RunKind.SFT: form.overrides()})
    first: TrainingRun = pipeline.runs.order_by("id")[0]
    return first
