"""The gate's thresholds, shadow mode, and the rows on which two versions differ."""

from dataclasses import asdict

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import ModelVersion
from annotation.web.permissions import leads_only, person
from training.models import GateSettings
from training.pages.gate_forms import ShadowForm, ThresholdsForm
from training.pages.home_forms import first_error
from training.pages.refusals import attempt
from training.versions import lists
from training.versions.flips import flips
from training.versions.gate import set_thresholds, thresholds
from training.versions.shadow import start_shadow, stop_shadow
from training.versions.shadow_values import disagreements, has_shadowed, shadow_summary

SETTINGS_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def gate(request: HttpRequest) -> HttpResponse:
    """Show the thresholds to leads, and let admins change them."""
    form = ThresholdsForm(request.POST if request.method == "POST" else None, initial=asdict(thresholds()))
    if (
        form.is_valid()
        and attempt(request, lambda: set_thresholds(wanted=form.thresholds(), by=person(request))) is not None
    ):
        messages.success(request, _("These thresholds are in force from now on."))
        return redirect("training:gate")
    history = GateSettings.objects.select_related("set_by").order_by("-id")[:SETTINGS_SHOWN]
    return render(
        request, "training/gate/settings.html", {"form": form, "history": history}, status=422 if form.errors else 200
    )


@require_safe
@leads_only
def version_flips(request: HttpRequest, version_id: int, side: str) -> HttpResponse:
    """All rows that the candidate fixed, or broke."""
    found = get_object_or_404(lists.versions(), pk=version_id)
    baseline = lists.baseline_of(found)
    pair = lists.evaluated_pair(found, baseline) if baseline else None
    if pair is None:
        raise Http404(_("They were never evaluated on the same snapshot."))
    after = request.GET.get("after", "").replace("\x00", "")
    return render(
        request,
        "training/versions/flips_page.html",
        {
            "version": found,
            "baseline": baseline,
            "side": side,
            "candidate": pair[0],
            "page": flips(*pair, fixed=side == "fixed", after=after),
            "after": after,
        },
    )


@require_safe
@leads_only
def shadow(request: HttpRequest, version_id: int) -> HttpResponse:
    """Live items on which a shadow version and production disagree."""
    found = get_object_or_404(lists.versions(), pk=version_id)
    if not has_shadowed(found):
        raise Http404(_("This version has never shadowed production."))
    before = request.GET.get("before", "")
    wanted = int(before) if before.isdecimal() and len(before) < 19 else None
    return render(
        request,
        "training/versions/shadow_page.html",
        {
            "version": found,
            "shadow": shadow_summary(found),
            "page": disagreements(found, before=wanted),
            "before": wanted,
        },
    )


@require_POST
@leads_only
def set_shadow(request: HttpRequest, version_id: int) -> HttpResponse:
    found, form = get_object_or_404(ModelVersion, pk=version_id), ShadowForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
    elif form.share() == 0:
        attempt(request, lambda: stop_shadow(version=found, by=person(request)))
    else:
        attempt(request, lambda: start_shadow(version=found, share=form.share(), by=person(request)))
    return redirect("training:version", found.pk)
