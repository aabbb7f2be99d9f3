"""Frames and files of items, to signed-in people only. The path comes from the database, never from the address."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotation.models import MediaAsset, Prediction
from guardapp.guard.taxonomy import MediaKind

CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SHOWN_IN_PLACE = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "video/mp4", "video/webm")


@require_safe
def frame(request: HttpRequest, prediction_id: int, medium: int, index: int) -> HttpResponseBase:
    """One frame that the guard saw, as the lossless PNG that it was given."""
    prediction = get_object_or_404(Prediction.objects.only("media_seen"), pk=prediction_id)
    try:
        folder = prediction.media_seen[medium]["folder"]
    except (IndexError, KeyError):
        raise Http404 from None
    response = FileResponse(_open(Path(folder) / f"{index:04d}.png"), content_type="image/png")
    return _safe(response, f"frame-{prediction_id}-{medium}-{index}.png", inline=True)


@require_safe
def asset(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """The whole file, of which the guard saw only frames. Answers byte ranges, so that a video can be scrubbed."""
    found = get_object_or_404(MediaAsset, sha256=sha256)
    inline = found.mime in _SHOWN_IN_PLACE
    stream = _open(Path(found.path))
    size = stream.seek(0, 2)
    stream.seek(0)
    wanted = _wanted_range(request.headers.get("Range", ""), size)
    response: HttpResponseBase
    if wanted is None:
        response = FileResponse(stream, content_type=found.mime)
        response["Content-Length"] = str(size)
    elif not wanted:
        stream.close()
        response = HttpResponse(status=416, content_type=found.mime)
        response["Content-Range"] = f"bytes */{size}"
    else:
        response = StreamingHttpResponse(_part(stream, wanted), status=206, content_type=found.mime)
        response["Content-Length"] = str(len(wanted))
        response["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    response["Accept-Ranges"] = "bytes"
    extension = "mp4" if found.kind == MediaKind.VIDEO else "img"
    return _safe(response, f"{found.sha256[:12]}.{found.mime.partition('/')[2] or extension}", inline=inline)


def _open(relative: Path) -> BinaryIO:
    root = Path(settings.MEDIA_ROOT).resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise Http404
    try:
        return path.open("rb")
    except OSError:
        raise Http404(_("This file is not on the disk any more.")) from None


def _wanted_range(header: str, size: int) -> range | None:
    """The bytes asked for; None: all of them; an empty range: nothing of this file. Several ranges are answered with all."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    stop = min(int(last) + 1, size) if last else size
    return range(int(first), stop)


def _part(stream: BinaryIO, wanted: range) -> Iterator[bytes]:
    with stream:
        stream.seek(wanted.start)
        left = len(wanted)
        while left > 0 and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


def _safe(response: HttpResponseBase, name: str, *, inline: bool) -> HttpResponseBase:
    """Untrusted bytes: never sniffed, never run, kept by this browser only."""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{name}"'
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, max-age=3600, immutable"
    return response
