"""Range responses for files on disk, to seek in videos and resume downloads (RFC 9110: Range, If-Range, ETag)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def answer_with(request: HttpRequest, path: Path, *, etag: str, mime: str, name: str) -> HttpResponseBase:
    """Respond with the file, the requested range, 304 or 416. Raises OSError.

    `etag` must be quoted and must change with the content.
    """
    if etag in [one.strip() for one in request.headers.get("If-None-Match", "").split(",")]:
        return _described(HttpResponse(status=304), etag, name)
    same = request.headers.get("If-Range", etag) == etag
    return _described(ranged(path.open("rb"), request.headers.get("Range", "") if same else "", mime), etag, name)


def ranged(stream: BinaryIO, header: str, mime: str) -> HttpResponseBase:
    """Respond with all of an open file, the part in the Range header, or 416. The file is closed at the end."""
    size = stream.seek(0, 2)
    stream.seek(0)
    wanted = wanted_range(header, size)
    response: HttpResponseBase
    if wanted is None:
        response = FileResponse(stream, content_type=mime)
        response["Content-Length"] = str(size)
    elif not wanted:
        stream.close()
        response = HttpResponse(status=416, content_type=mime)
        response["Content-Range"] = f"bytes */{size}"
    else:
        response = StreamingHttpResponse(part_of(stream, wanted), status=206, content_type=mime)
        response["Content-Length"] = str(len(wanted))
        response["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    response["Accept-Ranges"] = "bytes"
    return response


def wanted_range(header: str, size: int) -> range | None:
    """The requested bytes; None for the whole file, an empty range if it cannot be satisfied.

    A request for several ranges gets the whole file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(int(last) + 1, size) if last else size)


def part_of(stream: BinaryIO, wanted: range) -> Iterator[bytes]:
    """Yield the wanted bytes of an open file, then close it."""
    with stream:
        stream.seek(wanted.start)
        left = len(wanted)
        while left > 0 and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


def _described(response: HttpResponseBase, etag: str, name: str) -> HttpResponseBase:
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    # revalidate each time, because the permission may have been revoked
    response["Cache-Control"] = "private, no-cache"
    return response
