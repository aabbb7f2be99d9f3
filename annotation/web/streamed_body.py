"""Lines of a request's body as they come in, not when the body has ended."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest

from annotation.web.chunked_body_middleware import is_chunked


def lines_of(request: HttpRequest, *, longest: int) -> Iterator[bytes]:
    """Without empty ones; a line over `longest` bytes comes in pieces. Live where the body is sent in chunks and
    gunicorn serves.
    """
    body = request.META["wsgi.input"]
    chunked = is_chunked(request)
    reader = getattr(body, "reader", None)
    if chunked and hasattr(reader, "buf"):
        yield from _lines_of_chunks(reader, longest)
    else:  # of a chunked body Django itself reads nothing
        yield from _lines(body if chunked else request, longest)


def _lines(stream: Any, longest: int) -> Iterator[bytes]:
    while line := stream.readline(longest):
        if line.strip():
            yield line


def _lines_of_chunks(reader: Any, longest: int) -> Iterator[bytes]:
    """gunicorn's `readline` waits for a KiB whatever has come. Its reader has the chunk that a single byte came in, so
    that is taken too.

    It touches a private part of gunicorn, which is pinned; a test sends a body piece by piece.
    """
    text = b""
    while first := reader.read(1):
        text += first + reader.read(reader.buf.tell())
        *whole, text = text.split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(text) > longest:
            yield text
            text = b""
    if text.strip():
        yield text
