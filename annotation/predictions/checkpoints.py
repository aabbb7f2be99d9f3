"""Shares model checkpoints between machines.

If media is stored in a bucket, so are models, and each machine fetches those it needs.
"""

import tempfile
from pathlib import Path

from django.conf import settings

from annotation.media import bucket
from guardapp.guard.media.errors import MediaError

LARGEST_FILE = 1 << 40  # bytes


def share_checkpoint(folder: Path) -> None:
    """Upload a finished model for other machines. Raises MediaStoreAway."""
    if bucket.in_use() and folder.is_relative_to(settings.DATA_DIR):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                bucket.put(str(path.relative_to(settings.DATA_DIR)), path)


def fetch_checkpoint(stored: str) -> None:
    """Download the checkpoint atomically. Raises MediaError.

    Does nothing if it is already here or is not in the bucket.
    """
    if not bucket.in_use() or Path(stored).is_absolute() or (settings.DATA_DIR / stored).is_dir():
        return
    names = list(bucket.names(stored))
    if not names:  # a hub id, or the starter
        return
    target = settings.DATA_DIR / stored
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as staging:
        made = Path(staging) / "new"
        for name in names:
            bucket.fetch(name, made / Path(name).relative_to(stored), limit=LARGEST_FILE)
        try:
            made.replace(target)
        except OSError as error:
            if not target.is_dir():  # unless another process has fetched it
                raise MediaError(f"{target}: {error.strerror}") from error
