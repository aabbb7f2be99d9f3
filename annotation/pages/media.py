"""Frames and files of items, for users who may work on the item.

Paths come from the database, never from the URL. If media is stored in a bucket, the response redirects to a link that
expires within minutes; otherwise it is the file itself.
"""

from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotation.database.pool import release_connection
from annotation.exporting.values import EXTENSIONS
from annotation.media import bucket
from annotation.media.files import copy_name, frames_folder_name
from annotation.media.permissions import may_see_asset
from annotation.media.shown import ANIMATED_IN_BROWSERS, IN_BROWSERS
from annotation.models import MediaAsset, Prediction
from annotation.queues.access import may_see_item
from annotation.web.byte_ranges import ranged
from annotation.web.permissions import person, refuse_unless
from guardapp.guard.media.errors import MediaNotStored

_SHOWN_IN_PLACE = IN_BROWSERS | ANIMATED_IN_BROWSERS | {"video/mp4", "video/webm"}


@require_safe
def frame(request: HttpRequest, prediction_id: int, medium: int, index: int) -> HttpResponseBase:
    """One frame, as the lossless PNG that the guard was given."""
    prediction = get_object_or_404(
        Prediction.objects.select_related("item").only("media_seen", "item__queue_id"), pk=prediction_id
    )
    refuse_unless(may_see_item(person(request), prediction.item))
    try:
        seen = prediction.media_seen[medium]
        path, _timestamp = Path(seen["folder"]) / f"{index:04d}.png", seen["timestamps"][index]
    except (IndexError, KeyError):
        raise Http404 from None
    return _picture(str(path), "image/png", f"frame-{prediction_id}-{medium}-{index}.png")


@require_safe
def asset(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """The whole file, of which the guard saw only frames. Supports byte ranges, for seeking in videos."""
    found = get_object_or_404(MediaAsset, sha256=sha256)
    refuse_unless(may_see_asset(person(request), found))
    inline = found.mime in _SHOWN_IN_PLACE
    name = f"{found.sha256[:12]}.{EXTENSIONS.get(found.mime, 'bin')}"
    if bucket.in_use():
        return _link(found.path, found.mime, name, inline=inline)
    # a slow client may take minutes to download the file
    release_connection()
    return _safe(ranged(_open(Path(found.path)), request.headers.get("Range", ""), found.mime), name, inline=inline)


@require_safe
def asset_frame(request: HttpRequest, sha256: str, index: int) -> HttpResponseBase:
    """One frame of a file that was decoded but has no prediction, such as where the text beside it was too long."""
    found = get_object_or_404(MediaAsset, sha256=sha256)
    refuse_unless(may_see_asset(person(request), found))
    return _picture(f"{frames_folder_name(sha256)}/{index:04d}.png", "image/png", f"{sha256[:12]}-{index}.png")


@require_safe
def asset_copy(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """The picture in a format that browsers show, made from a file of one that they do not, such as HEIC."""
    found = get_object_or_404(MediaAsset, sha256=sha256)
    refuse_unless(may_see_asset(person(request), found))
    try:
        name = copy_name(sha256)
    except MediaNotStored:
        raise Http404(_("This file is not on the disk any more.")) from None
    return _picture(name, "image/jpeg", f"{sha256[:12]}.jpg")


def _picture(path: str, mime: str, name: str) -> HttpResponseBase:
    if bucket.in_use():
        return _link(path, mime, name, inline=True)
    return _safe(FileResponse(_open(Path(path)), content_type=mime), name, inline=True)


def _link(path: str, mime: str, name: str, *, inline: bool) -> HttpResponse:
    """Redirect to the bucket; the browser caches the redirect for half the lifetime of the link."""
    response = HttpResponseRedirect(bucket.link(path, mime=mime, disposition=_disposition(name, inline=inline)))
    response["Cache-Control"] = f"private, max-age={settings.MEDIA_LINK_SECONDS // 2}"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _open(relative: Path) -> BinaryIO:
    root = Path(settings.MEDIA_ROOT).resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise Http404
    try:
        return path.open("rb")
    except OSError:
        raise Http404(_("This file is not on the disk any more.")) from None


def _disposition(name: str, *, inline: bool) -> str:
    return f'{"inline" if inline else "attachment"}; filename="{name}"'


def _safe(response: HttpResponseBase, name: str, *, inline: bool) -> HttpResponseBase:
    """Headers for untrusted content: no sniffing, no scripts, private caching only."""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = _disposition(name, inline=inline)
    response["Content-Security-Policy"] = (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'"
    )
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, max-age=3600, immutable"
    return response
