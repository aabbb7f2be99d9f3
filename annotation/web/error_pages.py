"""Handling of uncaught errors.

If the database is unavailable or a disk is full: a helpful page or a problem document. Otherwise, a plain 500 page; on
the API, a problem document.
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
    """Django's handler500, called while the error is being handled, whichever layer raised it."""
    error = sys.exc_info()[1]
    assert isinstance(error, Exception)
    trouble = trouble_of(error)
    if request.path_info.startswith(API):
        return _problem(request, trouble_problem(trouble) if trouble else problem_of(error), trouble)
    return _page(request, trouble) if trouble else plain_server_error(request)


def _problem(request: HttpRequest, problem: Problem, trouble: Trouble | None) -> HttpResponse:
    response = JsonResponse(problem.as_json(request.path), status=problem.status, content_type=PROBLEM_JSON)
    return _with_retry_after(response, trouble)


def _page(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    """The error page, rendered without the database, so without the user or their language.

    It reloads automatically only after GET and HEAD, which are safe to repeat.
    """
    context = {"trouble": trouble, "reload_s": RELOAD_S if request.method in ("GET", "HEAD") else None}
    return _with_retry_after(HttpResponse(render_to_string("trouble.html", context), status=trouble.status), trouble)


def _with_retry_after(response: HttpResponse, trouble: Trouble | None) -> HttpResponse:
    if trouble is not None:
        response["Retry-After"] = str(trouble.retry_after_s)
        response["Cache-Control"] = "no-store"
    return response
