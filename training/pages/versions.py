"""Versions: compare with production, evaluate, promote, roll back."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Item, ModelVersion
from annotation.predictions.production import production_or_none
from annotation.web.permissions import leads_only, person
from guardapp.guard.measures.fit_calibrator import FEWEST_OF_A_LABEL, FEWEST_ROWS
from training.errors import NotEvaluated
from training.models import Promotion
from training.pages.gate_forms import PromoteForm
from training.pages.home_forms import RollbackForm, first_error
from training.pages.refusals import attempt, ring_workers
from training.versions import lists, promotion
from training.versions.comparison import compare
from training.versions.evaluations import request_evaluation
from training.versions.flips import flips, items_of
from training.versions.gate import judge
from training.versions.lineage import ancestry
from training.versions.scorecard import calibration_applied, over_refusal, scorecard
from training.versions.shadow_values import has_shadowed, shadow_summary

REGRESSIONS_SHOWN = 50


@require_safe
@leads_only
def versions(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "training/versions/page.html",
        {
            "versions": lists.with_scores(list(lists.versions()[:100])),
            "promotions": lists.promotions()[:50],
            "production": production_or_none(),
            "rollback_to": promotion.rollback_target(),
        },
    )


@require_safe
@leads_only
def version(request: HttpRequest, version_id: int) -> HttpResponse:
    """Compare a version with production on the newest snapshot that both were evaluated on."""
    found = get_object_or_404(lists.versions(), pk=version_id)
    baseline = lists.baseline_of(found)
    pair = lists.evaluated_pair(found, baseline) if baseline else None
    promotions = list(lists.promotions().filter(version=found))
    gate = _gate(found, promotions)
    return render(
        request,
        "training/versions/version.html",
        {
            "version": found,
            "baseline": baseline,
            "comparison": compare(*pair) if pair else None,
            "broken": flips(*pair, fixed=False, preview=True) if pair else None,
            "fixed": flips(*pair, fixed=True, preview=True) if pair else None,
            "cards": [scorecard(one) for one in pair or ()],
            "over_refusal": over_refusal(pair or ()),
            "calibration": calibration_applied(found),
            "fewest": {"rows": FEWEST_ROWS, "of_a_label": FEWEST_OF_A_LABEL},
            "gate": gate,
            "regressions": _items(gate.get("regressions", [])[:REGRESSIONS_SHOWN]),
            "shadow": shadow_summary(found) if has_shadowed(found) else None,
            "shadow_percent": f"{100 * found.shadow_share or 10:g}",
            "ancestry": ancestry(found),
            "evaluations": lists.evaluations(version=found),
            "promotions": promotions,
            "newest_snapshot": lists.newest_snapshot(),
            "production": production_or_none(),
            "rollback_to": promotion.rollback_target(),
            "promotable": lists.is_evaluated(found),
        },
    )


def _gate(version: ModelVersion, promotions: Sequence[Promotion]) -> dict[str, Any]:
    """The gate's current report; for production, the report of its promotion. Empty if there is none."""
    if version.serves:
        return next((one.gate for one in promotions if one.gate), {})
    try:
        return judge(version=version, production=production_or_none()).as_json()
    except NotEvaluated:
        return {}


def _items(ids: Sequence[str]) -> list[tuple[str, Item | None]]:
    """Pair each id with its item, or None if the item is gone."""
    items = items_of(ids)
    return [(row_id, items.get(row_id)) for row_id in ids]


@require_POST
@leads_only
def evaluate(request: HttpRequest, version_id: int) -> HttpResponse:
    """Evaluate the version and its baseline on the newest snapshot."""
    found, newest = get_object_or_404(ModelVersion, pk=version_id), lists.newest_snapshot()
    if newest is None:
        messages.error(request, _("There is no snapshot to evaluate on yet."))
        return redirect("training:version", found.pk)
    for one in (found, lists.baseline_of(found)):
        if one is not None:
            request_evaluation(version=one, snapshot=newest, requested_by=person(request))
    ring_workers()
    messages.success(request, _("Evaluation on %(snapshot)s is queued.") % {"snapshot": newest.name})
    return redirect("training:version", found.pk)


@require_POST
@leads_only
def set_policy(request: HttpRequest, version_id: int) -> HttpResponse:
    """Set whether this guard gets the policy in its prompt, from its next batch on."""
    found = get_object_or_404(ModelVersion, pk=version_id)
    found.takes_policy = "takes_policy" in request.POST
    found.save(update_fields=["takes_policy"])
    words = _("%(version)s is given the policy.") if found.takes_policy else _("%(version)s is not given the policy.")
    messages.success(request, words % {"version": found.name})
    return redirect("training:version", found.pk)


@require_POST
@leads_only
def promote(request: HttpRequest, version_id: int) -> HttpResponse:
    found, form = get_object_or_404(ModelVersion, pk=version_id), PromoteForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:version", found.pk)
    done = attempt(request, lambda: promotion.promote(version=found, approver=person(request), **form.cleaned_data))
    if done is not None:
        messages.success(
            request,
            _("%(version)s is in production. Workers serve it from their next batch.") % {"version": found.name},
        )
    return redirect("training:version", found.pk)


@require_POST
@leads_only
def rollback(request: HttpRequest) -> HttpResponse:
    form = RollbackForm(request.POST)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect("training:versions")
    done = attempt(
        request,
        lambda: promotion.rollback(
            approver=person(request), reason=form.cleaned_data["reason"], to=form.cleaned_data["to"]
        ),
    )
    if done is not None:
        messages.success(request, _("%(version)s is in production again.") % {"version": done.version.name})
    return redirect("training:versions")
