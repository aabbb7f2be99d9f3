"""Policies, read by everybody and changed by leads; and the gold made stale by a change."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.database.lists import long_texts
from annotation.models import Policy
from annotation.policies.publish import (
    MAX_CATEGORIES,
    CategoryText,
    PolicyChangedMeanwhile,
    PolicyNotValid,
    categories_of,
    confirm_gold,
    policies_with_versions,
    publish_version,
    retired_categories,
    send_to_review,
    stale_gold,
)
from annotation.web.permissions import leads_only, person

STALE_SHOWN = 100


@require_safe
def policy(request: HttpRequest) -> HttpResponse:
    lead = person(request).is_lead
    context = {"policies": policies_with_versions(), "stale": stale_gold()[:1_000].count() if lead else 0}
    return render(request, "annotation/policies/page.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Publish a new version of a policy, starting from the newest one."""
    found = get_object_or_404(Policy, slug=slug)
    newest = found.versions.order_by("-number").first()
    number, problem = newest.number if newest else 0, ""
    text, change = newest.text if newest else "", ""
    rows = categories_of(newest) if newest else []
    if request.method == "POST":
        text, change, rows = request.POST.get("text", ""), request.POST.get("change", ""), _rows(request)
        number = _number(request, number)
        try:
            made = publish_version(
                policy=found, text=text, categories=rows, change=change, by=person(request), based_on=number
            )
        except (PolicyNotValid, PolicyChangedMeanwhile) as error:
            problem = str(error)
        else:
            stale = stale_gold()[:1_000].count()
            words = _("%(policy)s is in force.")
            if stale:
                words = ngettext(
                    "%(policy)s is in force. %(stale)s gold label is stale now.",
                    "%(policy)s is in force. %(stale)s gold labels are stale now.",
                    stale,
                )
            messages.success(request, words % {"policy": made, "stale": stale})
            return redirect("stale" if stale else "policy")
    context = {"policy": found, "number": number, "text": text, "change": change, "rows": rows, "problem": problem}
    context |= {
        "retired": retired_categories(found),
        # a category's code is its identity
        "kept_codes": {one.code for one in categories_of(newest)} if newest else set(),
    }
    return render(request, "annotation/policies/edit.html", context, status=422 if problem else 200)


@require_safe
@leads_only
def stale(request: HttpRequest) -> HttpResponse:
    """Gold labels with a category whose policy changed, oldest first."""
    golds = (
        stale_gold()
        .select_related("item", "policy_version__policy", "review__reviewer")
        .order_by("id")
        .defer(*long_texts(item="item", gold="", review="review"))
    )
    return render(
        request,
        "annotation/policies/stale_gold.html",
        {"golds": golds[:STALE_SHOWN], "total": golds[:1_000].count(), "shown": STALE_SHOWN},
    )


@require_POST
@leads_only
def decide_stale(request: HttpRequest) -> HttpResponse:
    """Send the chosen gold to another review, or confirm it."""
    chosen = [
        int(given) for given in request.POST.getlist("gold")[:STALE_SHOWN] if given.isdecimal() and len(given) < 19
    ]
    if not chosen:
        messages.error(request, _("Choose at least one gold label first."))
    elif request.POST.get("act") == "confirm":
        n = confirm_gold(gold_ids=chosen, by=person(request))
        messages.success(request, ngettext("%(n)s gold label confirmed.", "%(n)s gold labels confirmed.", n) % {"n": n})
    else:
        n = send_to_review(gold_ids=chosen, by=person(request))
        messages.success(
            request,
            ngettext("%(n)s item is in front of reviewers again.", "%(n)s items are in front of reviewers again.", n)
            % {"n": n},
        )
    return redirect("stale")


def _rows(request: HttpRequest) -> list[CategoryText]:
    """The submitted categories, without blank rows."""
    columns = [request.POST.getlist(name)[: MAX_CATEGORIES + 1] for name in ("code", "name", "guidance")]
    return [
        CategoryText(*(value.strip() for value in row))
        for row in zip(*columns, strict=False)
        if any(value.strip() for value in row)
    ]


def _number(request: HttpRequest, otherwise: int) -> int:
    given = request.POST.get("based_on", "")
    return int(given) if given.isdecimal() and len(given) < 9 else otherwise
