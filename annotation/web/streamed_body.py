"""Lines of a request body, read as they arrive rather than after the body ends."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest

from annotation.web.chunked_body_middleware import is_chunked


def lines_of(request: HttpRequest, *, longest: int) -> Iterator[bytes]:
    """Yield the non-empty lines of the body; lines over `longest` bytes are split.

    Lines arrive live if the body is chunked and the server is gunicorn.
    """
    body = request.META["wsgi.input"]
    chunked = is_chunked(request)
    reader = getattr(body, "reader", None)
    if chunked and hasattr(reader, "buf"):
        yield from _lines_of_chunks(reader, longest)
    else:  # Django itself reads a chunked body as empty
        yield from _lines(body if chunked else request, longest)


def _lines(stream: Any, longest: int) -> Iterator[bytes]:
    while line := stream.readline(longest):
        if line.strip():
            yield line


def _lines_of_chunks(reader: Any, longest: int) -> Iterator[bytes]:
    """Yield lines as their chunks arrive.

    gunicorn's `readline` waits for a full KiB. Reading a single byte buffers the rest of its chunk in the reader, so
    that is read too. This uses gunicorn internals; gunicorn is pinned, and a test sends a body piece by piece.
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
