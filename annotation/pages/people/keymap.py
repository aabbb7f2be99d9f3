"""A user's own keyboard shortcuts."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation.people.keymap import ACTIONS, KeymapNotValid, save_keymap
from annotation.web.permissions import person


@require_http_methods(["GET", "HEAD", "POST"])
def keymap(request: HttpRequest) -> HttpResponse:
    user, problem, wrong = person(request), "", ""
    given = dict(user.keymap)
    if request.method == "POST":
        reset = request.POST.get("act") == "reset"
        given = (
            {}
            if reset
            else {key: _key(request.POST.get(f"key-{number}", "")) for number, (key, _) in enumerate(ACTIONS)}
        )
        try:
            save_keymap(user=user, keys=given)
        except KeymapNotValid as error:
            problem, wrong = str(error), error.field
        else:
            messages.success(request, _("Every key is the standard one again.") if reset else _("Your keys are saved."))
            return redirect("keymap")
    rows = [
        (f"key-{number}", standard, words, given.get(standard) or standard)
        for number, (standard, words) in enumerate(ACTIONS)
    ]
    return render(
        request,
        "annotation/people/keymap.html",
        {"rows": rows, "problem": problem, "wrong": wrong},
        status=422 if problem else 200,
    )


def _key(given: str) -> str:
    return " " if given.strip().lower() == "space" else given.strip()
