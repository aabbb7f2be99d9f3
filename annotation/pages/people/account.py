"""A user's account: how media is shown, excluded categories, exposure by day, and breaks."""

import zoneinfo
from datetime import date

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_http_methods, require_POST

from annotation.models import Exposure
from annotation.predictions.active_policy import active_policy_version, offered_categories
from annotation.review.exposure import shift_of, take_break
from annotation.web.language_middleware import language_of
from annotation.web.permissions import person

SHOWN_DAYS = 14


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    user = person(request)
    categories = offered_categories(active_policy_version(), user.opted_out)
    if request.method == "POST":
        user.blur_media, user.grey_media, user.mute_media = (
            request.POST.get(name) == "on" for name in ("blur", "grey", "mute")
        )
        user.opted_out = [row.code for row in categories if row.code in request.POST.getlist("opted_out")]
        language = request.POST.get("language", user.ui_language)
        user.ui_language = language if language in dict(settings.LANGUAGES) else ""
        zone = request.POST.get("time_zone", user.time_zone).strip()
        if zone and zone not in zoneinfo.available_timezones():
            messages.error(
                request, _("%(zone)s is no time zone: choose one such as Europe/Berlin.") % {"zone": zone[:64]}
            )
            return redirect("account")
        user.time_zone = zone
        user.save(update_fields=["blur_media", "grey_media", "mute_media", "opted_out", "ui_language", "time_zone"])
        with override(language_of(request)):
            messages.success(request, _("Saved. It holds from the next item on."))
        return redirect("account")
    days = Exposure.objects.filter(reviewer=user).order_by("-day").values("day").distinct()[:SHOWN_DAYS]
    rows = [(row["day"], *_of_day(user.pk, row["day"])) for row in days]
    return render(
        request,
        "annotation/people/account.html",
        {"categories": categories, "shift": shift_of(user), "rows": rows, "languages": settings.LANGUAGES, **_zones()},
    )


@require_POST
def rest(request: HttpRequest) -> HttpResponse:
    take_break(reviewer=person(request))
    messages.success(request, _("Enjoy your break. Your item is held for a while, and your work is kept as a draft."))
    return redirect("home")


def _zones() -> dict[str, object]:
    return {"zones": sorted(zoneinfo.available_timezones()), "installation_zone": settings.PAGES_TIME_ZONE}


def _of_day(user_id: int, day: date) -> tuple[float, int, int]:
    """Minutes of exposure, items, and severe items."""
    seen = list(Exposure.objects.filter(reviewer=user_id, day=day).values_list("seconds", "severity"))
    return round(sum(seconds for seconds, _ in seen) / 60, 1), len(seen), sum(severity == 3 for _, severity in seen)
