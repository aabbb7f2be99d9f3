"""Who may open a page."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from annotation.models import User

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def person(request: HttpRequest) -> User:
    """The signed-in person; the login middleware lets nobody else reach a page."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def leads_only(view: View[P]) -> View[P]:
    """403 for people who are not leads."""
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not person(request).is_lead:
            raise PermissionDenied("This page is for leads.")
        return view(request, *args, **kwargs)
    return guarded


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
