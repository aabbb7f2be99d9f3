"""Chunked request bodies without Content-Length, which Django itself reads as empty."""

import tempfile
from collections.abc import Callable
from typing import IO, Any

from django.core.handlers.wsgi import LimitedStream, WSGIRequest
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from annotation.web.problems import PROBLEM_JSON, BodyTooLarge, problem_of

MOST_BYTES = 1 << 30  # the same limit as for uploads
IN_MEMORY_BYTES = 1 << 20
PIECE_BYTES = 1 << 16


class ChunkedBodyMiddleware:
    """Buffers a chunked body and sets its length: in memory up to 1 MiB, otherwise in a temporary file.

    A view class with `streams_body` reads the body itself as it arrives.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponseBase | None:
        if not is_chunked(request) or getattr(getattr(view, "cls", None), "streams_body", False):
            return None
        try:
            body, size = _spooled(request.META["wsgi.input"])
        except BodyTooLarge as error:
            problem = problem_of(error)
            return JsonResponse(problem.as_json(request.path), status=problem.status, content_type=PROBLEM_JSON)
        assert isinstance(request, WSGIRequest)
        request.META["CONTENT_LENGTH"] = str(size)
        request._stream = LimitedStream(body, size)  # type: ignore[assignment, arg-type]
        return None


def is_chunked(request: HttpRequest) -> bool:
    """Whether the body is chunked and the server ends the input after it (`wsgi.input_terminated`)."""
    sent = request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    return "chunked" in sent and bool(request.META.get("wsgi.input_terminated"))


def _spooled(stream: IO[bytes]) -> tuple[IO[bytes], int]:
    """The whole body, rewound, and its size in bytes. Raises BodyTooLarge."""
    body, size = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES), 0  # noqa: SIM115  (the request reads it)
    while piece := stream.read(PIECE_BYTES):
        size += len(piece)
        if size > MOST_BYTES:
            raise BodyTooLarge
        body.write(piece)
    body.seek(0)
    return body, size
