"""Nothing of the product stays in caches, but what says so itself."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase


class NoStoreMiddleware:
    """Adds `Cache-Control: no-store` to responses without a Cache-Control of their own.

    Pages and answers hold content, and browsers and proxies keep what they are not told to forget: after a sign-out,
    the back button would show it to the next person. Media, static files and words say how long they may be kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        return response
