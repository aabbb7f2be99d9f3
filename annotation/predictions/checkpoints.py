"""Shares model checkpoints between machines, and pins their files.

If media is stored in a bucket, so are models, and each machine fetches those it needs. The sha256 of every file is
kept where a version is registered, and compared before each load.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from annotation.media import bucket
from guardapp.guard.media.errors import MediaError
from guardapp.guard.protocol import CheckpointNotUsable

LARGEST_FILE = 1 << 40  # bytes
# a file of another kind beside them, such as a model card, changes nothing
LOADED = (".safetensors", ".json", ".jinja", ".txt", ".model", ".py", ".bin", ".pt", ".pth")


def files_of(folder: Path) -> dict[str, str]:
    """The sha256 of each file that a load may read, by its name in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in LOADED and path.is_file():
            with path.open("rb") as stream:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def check_files(folder: Path, registered: Mapping[str, str] | None) -> None:
    """Compare a local checkpoint with what was registered, if that is known. Raises CheckpointNotUsable."""
    if not registered or not folder.is_dir():
        return
    try:
        found = files_of(folder)
    except OSError as error:
        raise CheckpointNotUsable(f"{folder}: {error.strerror}.") from error
    for name in sorted(found.keys() | registered.keys()):
        if found.get(name) != registered.get(name):
            why = "is missing" if name not in found else "was added" if name not in registered else "was changed"
            raise CheckpointNotUsable(
                f"{folder}: {name[:200]} {why} since this version was registered. Put the file back, or register the "
                "folder as a new version."
            )


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
