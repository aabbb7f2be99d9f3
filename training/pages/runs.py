"""A run: its page, its polled state, and cancelling, resuming and copying it."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from annotation.web.permissions import is_htmx, leads_only, person
from training.models import TrainingRun
from training.pages.home_forms import CloneForm, RolloutsForm, first_error
from training.pages.refusals import attempt, ring_workers
from training.progress import run_values
from training.progress.charts import charts_of, fields_of
from training.runs import pipelines
from training.runs import request as runs
from training.status import FINISHED
from training.versions import lists


@require_safe
@leads_only
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(lists.runs(), pk=run_id)
    curve = run_values.curve(found)
    return render(
        request,
        "training/runs/run.html",
        {
            "run": found,
            "state": lists.job_state(found),
            "evaluations": lists.evaluations_of_run(found),
            "seconds": lists.seconds_of(found),
            "heartbeat": run_values.heartbeat_words(found),
            "charts": charts_of(found.kind),
            "fields": fields_of(found.kind),
            "latest": curve.latest,
            "hazards": run_values.hazards_of(found),
            "pipeline": run_values.pipeline_of(found),
            "rollouts": run_values.rollouts_of(found, None, 1) if run_values.has_rollouts(found) else None,
            "settings": run_values.settings_of(found),
            "environment": run_values.environment_of(found),
            "disk": run_values.disk_of(found),
            "editable": runs.editable(found.config),
        },
    )


@require_GET
@never_cache
@leads_only
def run_state(request: HttpRequest, run_id: int) -> JsonResponse:
    """The state polled by the run page. `cursor` is how far the page has read; only newer figures are returned."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    evaluations = lists.evaluations_of_run(found)
    cursor = request.GET.get("cursor", "")
    curve = run_values.curve(found, int(cursor) if cursor.isdecimal() and len(cursor) < 19 else 0)
    return JsonResponse(
        lists.job_state(found).as_json()
        | {
            "fields": fields_of(found.kind),
            "rows": curve.rows,
            "cursor": curve.cursor,
            "heartbeat": run_values.heartbeat_words(found),
            "quiet": run_values.is_quiet(found),
            "hazards": [hazard.key for hazard in run_values.hazards_of(found)],
            "evaluations": [
                lists.job_state(evaluation).as_json() | {"id": evaluation.pk} for evaluation in evaluations
            ],
            "pipeline": [link.job.status for link in run_values.pipeline_of(found)],
            "settled": found.status in FINISHED and all(evaluation.status in FINISHED for evaluation in evaluations),
        }
    )


@require_GET
@never_cache
@leads_only
def hazards(request: HttpRequest, run_id: int) -> HttpResponse:
    """The current warnings, as a fragment of the run page."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    return render(request, "training/runs/hazards.html", {"hazards": run_values.hazards_of(found)})


@require_safe
@never_cache
@leads_only
def rollouts(request: HttpRequest, run_id: int) -> HttpResponse:
    """Completions of `step` (default: the newest), paginated by `page`."""
    found, form = get_object_or_404(TrainingRun, pk=run_id), RolloutsForm(request.GET)
    if not run_values.has_rollouts(found):
        raise Http404(_("This run draws no rollouts."))
    chosen = form.cleaned_data if form.is_valid() else {}
    shown = run_values.rollouts_of(found, chosen.get("step"), chosen.get("page") or 1)
    name = "training/runs/rollouts.html" if is_htmx(request) else "training/runs/rollouts_page.html"
    return render(request, name, {"run": found, "rollouts": shown})


@require_POST
@leads_only
def cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(TrainingRun, pk=run_id)
    attempt(request, lambda: runs.cancel_run(run=found))
    return redirect("training:run", found.pk)


@require_POST
@leads_only
def resume(request: HttpRequest, run_id: int) -> HttpResponse:
    found = get_object_or_404(TrainingRun, pk=run_id)
    attempt(request, lambda: runs.resume_run(run=found))
    ring_workers()
    return redirect("training:run", found.pk)


@require_POST
@leads_only
def clone_pipeline(request: HttpRequest, run_id: int) -> HttpResponse:
    """Run all stages of the run's pipeline again, with the same snapshot and base."""
    found = get_object_or_404(lists.runs(), pk=run_id, pipeline__isnull=False)
    assert found.pipeline is not None
    pipeline = found.pipeline
    made = attempt(request, lambda: pipelines.clone_pipeline(pipeline=pipeline, requested_by=person(request)))
    if made is None:
        return redirect("training:run", found.pk)
    ring_workers()
    return redirect("training:run", made.runs.order_by("id")[0].pk)


@require_POST
@leads_only
def clone(request: HttpRequest, run_id: int) -> HttpResponse:
    found, form = get_object_or_404(TrainingRun, pk=run_id), CloneForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:run", found.pk)
    made = attempt(request, lambda: runs.clone_run(run=found, requested_by=person(request), overrides=form.overrides()))
    ring_workers()
    return redirect("training:run", made.pk if made else found.pk)
