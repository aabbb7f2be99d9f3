"""Schedules: their triggers, how close each is to firing, and the result of the last firing."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.web.permissions import leads_only, person
from training.errors import ScheduleNameTaken, ScheduleNotValid
from training.models import RetrainSchedule
from training.pages.refusals import ring_workers
from training.pages.schedule_forms import ScheduleForm, initial_of
from training.schedules import selectors
from training.schedules.schedules import delete_schedule, save_schedule, switch_schedule
from training.schedules.triggers import fire_now
from training.status import FiringOutcome

FIRINGS_SHOWN = 20
# fields that have other names in the form
FIELDS = {"overrides": "settings", "launch": "strategy"}


@require_safe
@leads_only
def schedules(request: HttpRequest) -> HttpResponse:
    rows = [
        {
            "schedule": one,
            "standing": selectors.standing(one),
            "last": selectors.last_firing(one),
            "open": selectors.open_pipeline(one),
        }
        for one in selectors.schedules()
    ]
    return render(request, "training/schedules/page.html", {"rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def schedule(request: HttpRequest, schedule_id: int | None = None) -> HttpResponse:
    """Create a schedule, or change the one with this id."""
    found = get_object_or_404(selectors.schedules(), pk=schedule_id) if schedule_id else None
    if request.method != "POST":
        return _page(request, ScheduleForm(initial=initial_of(found) if found else None), found)
    form = ScheduleForm(request.POST)
    if form.is_valid():
        try:
            saved = save_schedule(given=form.given(), person=person(request), schedule=found)
        except ScheduleNotValid as error:
            form.add_error(FIELDS.get(error.field, error.field), error.message)
        except ScheduleNameTaken as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, _("Schedule %(schedule)s is saved.") % {"schedule": saved.name})
            return redirect("training:schedules")
    return _page(request, form, found, status=422)


@require_POST
@leads_only
def switch(request: HttpRequest, schedule_id: int) -> HttpResponse:
    found = get_object_or_404(RetrainSchedule, pk=schedule_id)
    switch_schedule(schedule=found, enabled=request.POST.get("enabled") == "yes")
    return redirect("training:schedules")


@require_POST
@leads_only
def run_now(request: HttpRequest, schedule_id: int) -> HttpResponse:
    found = get_object_or_404(RetrainSchedule, pk=schedule_id)
    fired = fire_now(schedule=found, asked_by=person(request).get_username())
    if fired is None:
        messages.warning(
            request,
            _("%(schedule)s was started a moment ago. Wait a minute, then look here again.") % {"schedule": found.name},
        )
    elif fired.outcome != FiringOutcome.STARTED or fired.pipeline is None:
        messages.error(
            request, _("%(schedule)s did not start: %(note)s") % {"schedule": found.name, "note": fired.note}
        )
    else:
        ring_workers()
        messages.success(
            request,
            _("%(schedule)s has started pipeline %(pipeline)s.")
            % {"schedule": found.name, "pipeline": fired.pipeline.name},
        )
        return redirect("training:run", fired.pipeline.runs.order_by("id")[0].pk)
    return redirect("training:schedules")


@require_POST
@leads_only
def remove(request: HttpRequest, schedule_id: int) -> HttpResponse:
    found = get_object_or_404(RetrainSchedule, pk=schedule_id)
    delete_schedule(schedule=found)
    messages.success(request, _("Schedule %(schedule)s is removed; its pipelines stay.") % {"schedule": found.name})
    return redirect("training:schedules")


def _page(request: HttpRequest, form: ScheduleForm, found: RetrainSchedule | None, status: int = 200) -> HttpResponse:
    return render(
        request,
        "training/schedules/schedule.html",
        {
            "form": form,
            "schedule": found,
            "standing": selectors.standing(found) if found else None,
            "firings": selectors.firings(found)[:FIRINGS_SHOWN] if found else [],
        },
        status=status,
    )
