"""Leads set when moderated content is reviewed and blocked."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation.pages.moderation_form import ThresholdForm
from annotation.models import ModerationThreshold
from annotation.predictions.policy import active_policy_version, policy_categories
from annotation.moderation.thresholds import NewThreshold, set_thresholds
from annotation.web.permissions import leads_only, person
from guardapp.guard.actions import DEFAULT_THRESHOLD, HARMFUL


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def moderation(request: HttpRequest) -> HttpResponse:
    sent = request.POST if request.method == "POST" else None
    rows = {row.category: row for row in ModerationThreshold.objects.all()}
    names = {HARMFUL: _("All harm"), **{one.code: f"{one.name} ({one.code})" for one in policy_categories(active_policy_version())}}
    forms = [ThresholdForm(sent, category=category, name=name, row=rows.get(category)) for category, name in names.items()]
    if sent is not None and not any(form.errors for form in forms):
        set_thresholds(thresholds=[NewThreshold(form.category, **form.cleaned_data) for form in forms], actor=person(request))
        messages.success(request, _("The thresholds are saved. They hold from the next request on."))
        return redirect("moderation")
    context = {"forms": forms, "default": DEFAULT_THRESHOLD}
    return render(request, "annotation/moderation.html", context, status=422 if sent is not None else 200)
