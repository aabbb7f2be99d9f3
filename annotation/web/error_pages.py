"""Errors that no view has caught: a calm page or a problem document where the database is away or a disk is full, else
the plain 500.
"""

import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error as plain_server_error

from annotation.database.outages import Trouble, trouble_of
from annotation.web.language_middleware import API
from annotation.web.problems import PROBLEM_JSON, Problem, problem_of, trouble_problem

RELOAD_S = 5


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls this while the error is being handled, whatever layer raised it."""
    error = sys.exc_info()[1]
    assert isinstance(error, Exception)
    trouble = trouble_of(error)
    if request.path.startswith(API):
        return _problem(request, trouble_problem(trouble) if trouble else problem_of(error), trouble)
    return _page(request, trouble) if trouble else plain_server_error(request)


def _problem(request: HttpRequest, problem: Problem, trouble: Trouble | None) -> HttpResponse:
    response = JsonResponse(problem.as_json(request.path), status=problem.status, content_type=PROBLEM_JSON)
    return _with_retry_after(response, trouble)


def _page(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    """Reads no row: neither who is signed in nor their language. It reloads by itself where that repeats a question,
    not an act.
    """
    context = {"trouble": trouble, "reload_s": RELOAD_S if request.method in ("GET", "HEAD") else None}
    return _with_retry_after(HttpResponse(render_to_string("trouble.html", context), status=trouble.status), trouble)


def _with_retry_after(response: HttpResponse, trouble: Trouble | None) -> HttpResponse:
    if trouble is not None:
        response["Retry-After"] = str(trouble.retry_after_s)
        response["Cache-Control"] = "no-store"
    return response
