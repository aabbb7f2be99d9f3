"""Access to the pages."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from annotation.models import Item, User
from annotation.queues.access import may_see_item

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def person(request: HttpRequest) -> User:
    """The signed-in user. The login middleware keeps everyone else out. Raises PermissionDenied."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def item_for(request: HttpRequest, item_id: int, *related: str) -> Item:
    """The item, if the user may see it, with its `related` rows. Raises Http404, PermissionDenied."""
    item = get_object_or_404(Item.objects.select_related(*related) if related else Item, pk=item_id)
    refuse_unless(may_see_item(person(request), item))
    return item


def refuse_unless(allowed: bool) -> None:
    """Raises PermissionDenied if the user may not see an item."""
    if not allowed:
        raise PermissionDenied(_("This item is for another group of reviewers."))


def leads_only(view: View[P]) -> View[P]:
    """Respond with 403 to users who are not leads."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not person(request).is_lead:
            raise PermissionDenied(_("This page is for leads."))
        return view(request, *args, **kwargs)

    return guarded


class SignInMiddleware(LoginRequiredMiddleware):
    """Redirects to the sign-in page as Django does, but responds with 401 to htmx.

    htmx would replace the person's work with the sign-in page.
    """

    def handle_no_permission(  # type: ignore[override]  # the stubs allow only redirects
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        return HttpResponse(status=401) if is_htmx(request) else super().handle_no_permission(request, view_func)


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
