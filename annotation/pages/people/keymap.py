"""A person's own keys, and what the palette finds."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.models import Item
from annotation.people.keymap import ACTIONS, KeymapNotValid, save_keymap
from annotation.queues.access import queues_of
from annotation.web.permissions import person

FOUND = 8  # of a kind


@require_http_methods(["GET", "HEAD", "POST"])
def keymap(request: HttpRequest) -> HttpResponse:
    user, problem, wrong = person(request), "", ""
    given = dict(user.keymap)
    if request.method == "POST":
        reset = request.POST.get("act") == "reset"
        given = {} if reset else {key: _key(request.POST.get(f"key-{number}", "")) for number, (key, _) in enumerate(ACTIONS)}
        try:
            save_keymap(user=user, keys=given)
        except KeymapNotValid as error:
            problem, wrong = str(error), error.field
        else:
            messages.success(request, _("Every key is the standard one again.") if reset else _("Your keys are saved."))
            return redirect("keymap")
    rows = [(f"key-{number}", standard, words, given.get(standard) or standard) for number, (standard, words) in enumerate(ACTIONS)]
    return render(request, "annotation/keymap.html", {"rows": rows, "problem": problem, "wrong": wrong}, status=422 if problem else 200)


@require_GET
@never_cache
def palette(request: HttpRequest) -> JsonResponse:
    """Queues and items by name, id or external id."""
    query = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    found = [{"words": queue.name, "sub": _("Queue"), "url": reverse("review", args=[queue.slug])}
             for queue in queues_of(person(request)) if query.lower() in queue.name.lower()][:FOUND]
    if query:
        items = Item.objects.filter(external_id__startswith=query).order_by("-id")[:FOUND]
        by_id = Item.objects.filter(pk=int(query)) if query.isdecimal() and len(query) < 19 else Item.objects.none()
        found += [{"words": item.external_id, "url": reverse("item", args=[item.pk]),
                   "sub": _("Item %(number)s, %(status)s") % {"number": item.pk, "status": item.get_status_display()}}
                  for item in dict.fromkeys([*by_id, *items])]
    return JsonResponse({"found": found})


def _key(given: str) -> str:
    return " " if given.strip().lower() == "space" else given.strip()
