"""Stores untrusted media, deduplicated by sha256, under the media root or in the bucket.

The type is determined from the content; nothing is decoded here.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from annotation.media import bucket
from annotation.models import MediaAsset
from guardapp.guard.media.errors import MediaTooLarge
from guardapp.guard.media.sniff import file_size, sniff
from guardapp.guard.media.strip import strip_file
from guardapp.guard.media.values import Limits
from guardapp.guard.taxonomy import MediaKind

FOLDER = "assets"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """A stored file. `path` is relative to the media root."""

    sha256: str
    kind: MediaKind
    mime: str
    size: int
    path: str


def store(content: bytes | Path, *, as_it_is: bool = False) -> StoredMedia:
    """Store the bytes atomically, unless already stored; without metadata such as EXIF, unless the operator keeps it.

    `as_it_is` changes no byte: an import must keep the sum by which records name the file.

    Raises MediaError if the content is empty, too large, not a file, or of an unsupported type (named in the message),
    and MediaStoreAway.
    """
    size = len(content) if isinstance(content, bytes) else file_size(content)
    limit = Limits().max_bytes
    if size > limit:
        raise MediaTooLarge(f"{size:,} bytes, the limit is {limit:,}")
    kind, mime = sniff(content)
    root = Path(settings.MEDIA_ROOT)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=root / FOLDER, prefix=".incoming-")
    partial = Path(name)
    try:
        digest, written = hashlib.sha256(), 0
        with os.fdopen(descriptor, "wb") as target:
            for chunk in _chunks(content):
                digest.update(chunk)
                written += target.write(chunk)
                if written > limit:  # the file grew while it was read
                    raise MediaTooLarge(f"more than {limit:,} bytes")
        if not as_it_is and not settings.KEEP_METADATA and strip_file(partial, mime):
            with partial.open("rb") as stream:
                digest, written = hashlib.file_digest(stream, "sha256"), partial.stat().st_size
        sha256 = digest.hexdigest()
        path = f"{FOLDER}/{sha256[:2]}/{sha256[2:]}"
        if bucket.in_use():
            if not bucket.holds(path):
                bucket.put(path, partial, mime)
        else:
            (root / path).parent.mkdir(exist_ok=True)
            partial.replace(root / path)
    finally:
        partial.unlink(missing_ok=True)
    return StoredMedia(sha256, kind, mime, written, path)


def register(stored: Collection[StoredMedia]) -> dict[str, int]:
    """Return MediaAsset ids by sha256, creating missing rows. Runs in the caller's transaction."""
    if not stored:
        return {}
    MediaAsset.objects.bulk_create(
        [MediaAsset(sha256=one.sha256, kind=one.kind, mime=one.mime, size=one.size, path=one.path) for one in stored],
        ignore_conflicts=True,
    )
    MediaAsset.objects.filter(sha256__in={one.sha256 for one in stored}, deleted_at__isnull=False).update(
        deleted_at=None
    )
    rows = list(
        MediaAsset.objects.filter(sha256__in={one.sha256 for one in stored}).values_list("sha256", "pk", "kind", "mime")
    )
    # an older version of this program may have known less about a type, such as that it moves
    known = {one.sha256: one for one in stored}
    for sha256, pk, kind, mime in rows:
        if (kind, mime) != (known[sha256].kind, known[sha256].mime):
            MediaAsset.objects.filter(pk=pk).update(kind=known[sha256].kind, mime=known[sha256].mime)
    return {sha256: pk for sha256, pk, _, _ in rows}


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
