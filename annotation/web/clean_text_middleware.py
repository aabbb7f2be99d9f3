"""Every text that a page sends passes one cleaner, so that no form has to think of it."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

from annotation.database.storable import cleaned

# programs get an error that names the character; people cannot see it, so it is removed
PROGRAMS = ("/api/", "/v1/")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class CleanTextMiddleware:
    """Removes control characters from the fields of forms and addresses, and writes line ends as \\n.

    A browser sends line breaks as \\r\\n: counted so, a text of the allowed length would be too long.
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
    """The same fields; the very same object where there is nothing to clean."""
    texts = [(name, values, [cleaned(value) for value in values]) for name, values in given.lists()]
    if all(before == after and cleaned(name) == name for name, before, after in texts):
        return given
    made = QueryDict(mutable=True, encoding=given.encoding)
    for name, _, after in texts:
        made.setlistdefault(cleaned(name)).extend(after)
    made._mutable = False
    return made
