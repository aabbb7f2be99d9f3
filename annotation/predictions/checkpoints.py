"""Checkpoints of versions between machines: where media lies in a bucket, models lie beside it and are fetched where
they are needed.
"""

import tempfile
from pathlib import Path

from django.conf import settings

from annotation.media import bucket
from guardapp.guard.media.errors import MediaError

LARGEST_FILE = 1 << 40  # bytes


def share_checkpoint(folder: Path) -> None:
    """Put a finished model where other machines find it. Raises MediaStoreAway."""
    if bucket.in_use() and folder.is_relative_to(settings.DATA_DIR):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                bucket.put(str(path.relative_to(settings.DATA_DIR)), path)


def fetch_checkpoint(stored: str) -> None:
    """Bring the checkpoint here, whole or not at all; nothing where it is here, or is no folder of ours. Raises
    MediaError.
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
            if not target.is_dir():  # another process fetched the same
                raise MediaError(f"{target}: {error.strerror}") from error
