"""The training pages. Leads only: what is decided here changes what everybody's guard says."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from annotation.bells import ring
from annotation.models import ModelVersion
from annotation.services.errors import ServiceError
from annotation.views.access import leads_only, person
from training import selectors
from training.comparison import compare
from training.forms import CloneForm, ReasonForm, RetrainForm, RollbackForm, first_error
from training.models import DatasetSnapshot, TrainingRun
from training.recipes import RECIPES, settings_side_by_side
from training.services import promotion, runs
from training.services.evaluations import request_evaluation
from training.services.retrain import retrain
from training.services.snapshots import MIN_HOLDOUT, MIN_TRAIN, create_snapshot
from training.status import FINISHED
from training.tasks import execute

SHOWN = 10


@require_safe
@leads_only
def home(request: HttpRequest) -> HttpResponse:
    versions = list(selectors.versions()[:SHOWN])
    return render(request, "training/home.html", {
        "gold": selectors.new_gold(), "production": selectors.production(), "runs": selectors.runs()[:SHOWN],
        "snapshots": selectors.snapshots()[:SHOWN], "versions": selectors.with_scores(versions),
        "active": selectors.active_run(), "form": RetrainForm(), "recipes": RECIPES.values(), "needed": MIN_TRAIN + MIN_HOLDOUT,
        "rollback_to": promotion.rollback_target(),
    })


@require_POST
@leads_only
def start(request: HttpRequest) -> HttpResponse:
    """Retrain: snapshot, run, and the evaluations that follow it."""
    form = RetrainForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:home")
    run = _attempt(request, lambda: retrain(
        requested_by=person(request), recipe=form.recipe_name(), overrides=form.overrides(), filters=form.filters(),
        name=form.cleaned_data["name"]))
    if run is None:
        return redirect("training:home")
    ring(execute)
    return redirect("training:run", run.pk)


@require_POST
@leads_only
def take_snapshot(request: HttpRequest) -> HttpResponse:
    """A snapshot without a run."""
    form = RetrainForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:home")
    made = _attempt(request, lambda: create_snapshot(created_by=person(request), name=form.cleaned_data["name"], filters=form.filters()))
    return redirect("training:home") if made is None else redirect("training:snapshot", made.pk)


@require_safe
@leads_only
def snapshot(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    found = get_object_or_404(selectors.snapshots(), pk=snapshot_id)
    return render(request, "training/snapshot.html", {
        "snapshot": found, "runs": found.runs.select_related("version").order_by("-id"),
        "evaluations": selectors.evaluations(snapshot=found), "examples": selectors.example_rows(found),
    })


@require_POST
@leads_only
def train_on(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    """A run from production on a snapshot that is there."""
    found = get_object_or_404(DatasetSnapshot, pk=snapshot_id)
    base = selectors.production()
    if base is None:
        messages.error(request, "No version is in production yet, so there is nothing to train from.")
        return redirect("training:snapshot", found.pk)
    made = _attempt(request, lambda: runs.request_run(snapshot=found, base_version=base, requested_by=person(request)))
    if made is None:
        return redirect("training:snapshot", found.pk)
    ring(execute)
    return redirect("training:run", made.pk)


@require_safe
@leads_only
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(selectors.runs(), pk=run_id)
    return render(request, "training/run.html", {
        "run": found, "state": selectors.job_state(found), "evaluations": selectors.evaluations_of_run(found),
        "config": runs.editable(found.config), "seconds": selectors.seconds_of(found),
    })


@require_GET
@never_cache
@leads_only
def run_state(request: HttpRequest, run_id: int) -> JsonResponse:
    """What the run page polls."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    evaluations = selectors.evaluations_of_run(found)
    state = selectors.job_state(found).as_json()
    state["evaluations"] = [selectors.job_state(evaluation).as_json() | {"id": evaluation.pk} for evaluation in evaluations]
    state["settled"] = found.status in FINISHED and all(evaluation.status in FINISHED for evaluation in evaluations)
    return JsonResponse(state)


@require_POST
@leads_only
def cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(TrainingRun, pk=run_id)
    _attempt(request, lambda: runs.cancel_run(run=found))
    return redirect("training:run", found.pk)


@require_POST
@leads_only
def resume(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(TrainingRun, pk=run_id)
    _attempt(request, lambda: runs.resume_run(run=found))
    ring(execute)
    return redirect("training:run", found.pk)


@require_POST
@leads_only
def clone(request: HttpRequest, run_id: int) -> HttpResponse:
    found, form = get_object_or_404(TrainingRun, pk=run_id), CloneForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:run", found.pk)
    made = _attempt(request, lambda: runs.clone_run(run=found, requested_by=person(request), overrides=form.overrides()))
    ring(execute)
    return redirect("training:run", made.pk if made else found.pk)


@require_safe
@leads_only
def versions(request: HttpRequest) -> HttpResponse:
    return render(request, "training/versions.html", {
        "versions": selectors.with_scores(list(selectors.versions()[:100])), "promotions": selectors.promotions()[:50],
        "production": selectors.production(), "rollback_to": promotion.rollback_target(),
    })


@require_safe
@leads_only
def version(request: HttpRequest, version_id: int) -> HttpResponse:
    """A version beside production: on the newest snapshot that both were evaluated on."""
    found = get_object_or_404(selectors.versions(), pk=version_id)
    baseline = selectors.baseline_of(found)
    pair = selectors.evaluated_pair(found, baseline) if baseline else None
    return render(request, "training/version.html", {
        "version": found, "baseline": baseline, "comparison": compare(*pair) if pair else None,
        "evaluations": selectors.evaluations(version=found), "promotions": selectors.promotions().filter(version=found),
        "newest_snapshot": selectors.snapshots().first(), "production": selectors.production(),
        "rollback_to": promotion.rollback_target(), "promotable": selectors.is_evaluated(found),
    })


@require_POST
@leads_only
def evaluate(request: HttpRequest, version_id: int) -> HttpResponse:
    """The version and what it is compared with, both on the newest snapshot."""
    found, newest = get_object_or_404(ModelVersion, pk=version_id), selectors.snapshots().first()
    if newest is None:
        messages.error(request, "There is no snapshot to evaluate on yet.")
        return redirect("training:version", found.pk)
    for one in (found, selectors.baseline_of(found)):
        if one is not None:
            request_evaluation(version=one, snapshot=newest, requested_by=person(request))
    ring(execute)
    messages.success(request, f"Evaluation on {newest.name} is queued.")
    return redirect("training:version", found.pk)


@require_POST
@leads_only
def promote(request: HttpRequest, version_id: int) -> HttpResponse:
    found, form = get_object_or_404(ModelVersion, pk=version_id), ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:version", found.pk)
    done = _attempt(request, lambda: promotion.promote(version=found, approver=person(request), reason=form.cleaned_data["reason"]))
    if done is not None:
        messages.success(request, f"{found.name} is in production. Workers serve it from their next batch on.")
    return redirect("training:version", found.pk)


@require_POST
@leads_only
def rollback(request: HttpRequest) -> HttpResponse:
    form = RollbackForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:versions")
    done = _attempt(request, lambda: promotion.rollback(
        approver=person(request), reason=form.cleaned_data["reason"], to=form.cleaned_data["to"]))
    if done is not None:
        messages.success(request, f"{done.version.name} is in production again.")
    return redirect("training:versions")


@require_safe
@leads_only
def recipes(request: HttpRequest) -> HttpResponse:
    return render(request, "training/recipes.html", {"recipes": RECIPES.values(), "rows": settings_side_by_side()})


def _attempt(request: HttpRequest, action: Callable[[], Any]) -> Any:
    """The service's answer; where it refuses, its reason as a message and None."""
    try:
        return action()
    except ServiceError as error:
        messages.error(request, str(error))
        return None
