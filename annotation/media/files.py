"""Media files of items on this machine.

If media is stored in a bucket, MEDIA_ROOT is a cache: files are fetched on demand, and frames are kept.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from annotation.media import bucket
from annotation.models import MediaAsset
from guardapp.guard.media.decode import DEFAULT_LIMITS, PRESETS, Decoded, Job, MediaError, decode_many, load_seen
from guardapp.guard.media.errors import MediaNotAFile, MediaNotStored, MediaStorageFailed
from guardapp.guard.media.values import DECODER, MANIFEST, MIB, WHOLE
from guardapp.guard.verdict import MediaPreset

FETCHED_AT_ONCE = 1 << 30  # bytes of originals on disk at a time, waiting to be decoded
CONTENT_TYPES = {".json": "application/json", ".png": "image/png", ".jpg": "image/jpeg"}
USED_LATELY_S = 3_600  # frames used this recently are kept, even if the cache is too large
# number of frame folders added by this process between checks of the cache size
TRIM_EVERY = 200
_added = 0


def decoded(assets: Sequence[MediaAsset]) -> dict[str, Decoded | MediaError]:
    """Return each file as the guard sees it, or its error, by sha256. A faulty file does not affect the others."""
    if not bucket.in_use():
        jobs = [Job(settings.MEDIA_ROOT / asset.path, frames_folder(asset.sha256)) for asset in assets]
        return dict(zip([asset.sha256 for asset in assets], decode_many(jobs, _preset()), strict=True)) if jobs else {}
    found: dict[str, Decoded | MediaError] = {}
    missing: list[MediaAsset] = []
    try:
        for asset in assets:
            try:
                found[asset.sha256] = load_seen(frames_at(_name(frames_folder(asset.sha256))))
            except MediaStorageFailed:
                raise
            except MediaError:
                missing.append(asset)
        for group in _groups(missing):
            found |= _decoded_from_bucket(group)
    except MediaStorageFailed as error:  # do not retry within this batch
        found |= {asset.sha256: error for asset in assets if asset.sha256 not in found}
    return found


def frames_folder(sha256: str) -> Path:
    """Return the folder of a file's frames for the current preset and decoder."""
    return Path(settings.FRAMES_DIR) / sha256[:2] / sha256 / f"{settings.MEDIA_PRESET}.{DECODER}"


def frames_folder_name(sha256: str) -> str:
    """Return `frames_folder`, relative to the media root."""
    return _name(frames_folder(sha256))


def copy_name(sha256: str) -> str:
    """Return the name, relative to the media root, of the picture for browsers that cannot show this file.

    It is the same for every preset. Raises MediaNotStored, MediaStoreAway.
    """
    folder = frames_folder(sha256).parent
    if bucket.in_use():
        found = [name for name in bucket.names(_name(folder)) if name.endswith(f"/{WHOLE}")]
    else:
        found = [_name(path) for path in folder.glob(f"*/{WHOLE}")]
    if not found:
        raise MediaNotStored
    return max(found)


def delete_copies(sha256: str) -> None:
    """Delete the pictures for browsers; the frames that the guard saw are kept."""
    for path in frames_folder(sha256).parent.glob(f"*/{WHOLE}"):
        path.unlink(missing_ok=True)


def frames_at(folder: str) -> Path:
    """Return the local path of a frame folder, given relative to the media root, fetching the folder if necessary.

    Raises MediaNotStored, MediaStoreAway.
    """
    local = Path(settings.MEDIA_ROOT) / folder
    if not bucket.in_use():
        return local
    if (local / MANIFEST).exists():
        (local / MANIFEST).touch()  # records the last use
        return local
    listed = list(bucket.names(folder))
    if f"{folder}/{MANIFEST}" not in listed:  # the manifest is uploaded last
        raise MediaNotStored
    local.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{local.name}.", dir=local.parent) as staging:
        for name in listed:
            bucket.fetch(name, Path(staging) / "new" / Path(name).name, limit=DEFAULT_LIMITS.max_frame_bytes)
        _replace(Path(staging) / "new", local)
    _trim_at_times()
    return local


@contextmanager
def original(path: str) -> Iterator[Path]:
    """Provide the original file locally for the duration of the context. Raises MediaNotAFile, MediaStoreAway."""
    local = Path(settings.MEDIA_ROOT) / path
    if not bucket.in_use():
        if not local.is_file():
            raise MediaNotAFile
        yield local
        return
    with _scratch() as folder:
        bucket.fetch(path, folder / "original", limit=DEFAULT_LIMITS.max_bytes)
        yield folder / "original"


def share_frames(local: Path) -> None:
    """Upload a locally decoded frame folder to the bucket, its manifest last. Raises MediaStoreAway."""
    if not bucket.in_use():
        return
    files = sorted(local.iterdir(), key=lambda path: (path.name == MANIFEST, path.name))
    for path in files:
        bucket.put(_name(path), path, CONTENT_TYPES[path.suffix])
    _trim_at_times()


def trim() -> int:
    """Remove the least recently used frames until the cache fits in MEDIA_CACHE_MB.

    Returns the number of folders removed.
    """
    folders = []
    for manifest in Path(settings.FRAMES_DIR).glob(f"*/*/*/{MANIFEST}"):
        size = sum(path.stat().st_size for path in manifest.parent.iterdir())
        folders.append((manifest.stat().st_mtime, size, manifest.parent))
    held, gone = sum(size for _, size, _ in folders), 0
    for used, size, folder in sorted(folders):
        if held <= settings.MEDIA_CACHE_MB * MIB or time.time() - used < USED_LATELY_S:
            break
        shutil.rmtree(folder, ignore_errors=True)
        held, gone = held - size, gone + 1
    return gone


def _decoded_from_bucket(assets: Sequence[MediaAsset]) -> dict[str, Decoded | MediaError]:
    found: dict[str, Decoded | MediaError] = {}
    jobs: dict[str, Job] = {}
    with _scratch() as folder:
        for asset in assets:
            try:
                bucket.fetch(asset.path, folder / asset.sha256, limit=DEFAULT_LIMITS.max_bytes)
                jobs[asset.sha256] = Job(folder / asset.sha256, frames_folder(asset.sha256))
            except MediaStorageFailed:
                raise
            except MediaError as error:
                found[asset.sha256] = error
        found |= dict(zip(jobs, decode_many(list(jobs.values()), _preset()), strict=True)) if jobs else {}
    for sha256 in jobs:
        if isinstance(found[sha256], Decoded):
            try:
                share_frames(frames_folder(sha256))
            except MediaStorageFailed as error:  # other machines could not show the frames
                found[sha256] = error
    return found


def _groups(assets: Sequence[MediaAsset]) -> Iterator[list[MediaAsset]]:
    group: list[MediaAsset] = []
    for asset in assets:
        if group and sum(one.size for one in group) + asset.size > FETCHED_AT_ONCE:
            yield group
            group = []
        group.append(asset)
    if group:
        yield group


@contextmanager
def _scratch() -> Iterator[Path]:
    root = Path(settings.MEDIA_ROOT)
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".fetched-", dir=root)
    except OSError as error:
        raise MediaStorageFailed(error.strerror or "") from error
    with folder as name:
        yield Path(name)


def _replace(made: Path, local: Path) -> None:
    try:
        made.replace(local)
    except OSError as error:
        if not (local / MANIFEST).exists():  # unless another process has fetched it
            raise MediaStorageFailed(error.strerror or "") from error


def _trim_at_times() -> None:
    global _added  # noqa: PLW0603  (a count of this process)
    _added += 1
    if _added % TRIM_EVERY == 0:
        trim()


def _name(path: Path) -> str:
    return str(path.relative_to(settings.MEDIA_ROOT))


def _preset() -> MediaPreset:
    return PRESETS[settings.MEDIA_PRESET]
