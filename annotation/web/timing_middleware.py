"""Request durations by view."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from annotation.prometheus import REQUESTS


class TimingMiddleware:
    """Measures the time until the response starts, without streaming."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        # the route name, because paths would create unbounded labels
        view = match.view_name if match and match.view_name else "none"
        method = (
            request.method
            if request.method in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
            else "other"
        )
        REQUESTS.labels(method, view, str(response.status_code)).observe(time.perf_counter() - began)
        return response
