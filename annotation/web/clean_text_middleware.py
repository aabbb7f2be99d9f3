"""Cleaning of all text sent by pages, so that forms need not do it themselves."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

from annotation.database.storable import cleaned

# API clients get an error that names the character; people cannot see it, so it is removed for them
PROGRAMS = ("/api/", "/v1/")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class CleanTextMiddleware:
    """Removes control characters from form fields and query parameters, and normalizes line breaks to \\n.

    Browsers send \\r\\n; counting both characters would reject text of the allowed length.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        if not request.path_info.startswith(PROGRAMS):
            request.GET = _cleaned(request.GET)  # type: ignore[assignment]
            if request.method == "POST" and request.content_type in FORMS:
                request.POST = _cleaned(request.POST)  # type: ignore[assignment]


def _cleaned(given: QueryDict) -> QueryDict:
    """The fields with cleaned text; the same object if there is nothing to clean."""
    texts = [(name, values, [cleaned(value) for value in values]) for name, values in given.lists()]
    if all(before == after and cleaned(name) == name for name, before, after in texts):
        return given
    made = QueryDict(mutable=True, encoding=given.encoding)
    for name, _, after in texts:
        made.setlistdefault(cleaned(name)).extend(after)
    made._mutable = False
    return made
