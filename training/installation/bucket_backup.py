"""Copy media between the bucket and a backup folder."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from annotation.media import bucket
from annotation.media.store import FOLDER as ASSETS
from guardapp.guard.media.decode import DEFAULT_LIMITS, MediaError, sniff

FOLDERS = (ASSETS, "frames")
MIMES = {".png": "image/png", ".json": "application/json"}


def copy_from_bucket(target: Path) -> Iterator[tuple[Path, str]]:
    """Copy from the bucket, yielding each file and its sha256. Raises MediaError."""
    for folder in FOLDERS:
        for name in bucket.names(folder):
            bucket.fetch(name, target / name, limit=DEFAULT_LIMITS.max_bytes)
            with (target / name).open("rb") as stream:
                yield target / name, hashlib.file_digest(stream, "sha256").hexdigest()


def copy_to_bucket(source: Path, names: Iterable[Path]) -> None:
    """Copy these files to the bucket, frame manifests last, since they mark a folder as complete. Raises MediaError."""
    files = (source / name for name in names)
    for path in sorted(files, key=lambda path: (path.suffix == ".json", path)):
        bucket.put(str(path.relative_to(source)), path, _mime(path))


def _mime(path: Path) -> str:
    if path.suffix in MIMES:
        return MIMES[path.suffix]
    try:
        return sniff(path)[1]
    except MediaError:
        return "application/octet-stream"
