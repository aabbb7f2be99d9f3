"""Decode untrusted media to the frames that the guard sees, in a child process with limits.

`sniff` is cheap enough for a web request; `decode` and `decode_many` start a child process. The decoders are never
loaded into the calling process, so that a hostile file can crash only the child.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardapp.guard.media.errors import (
    MediaEmpty,
    MediaError,
    MediaNotAFile,
    MediaNotStored,
    MediaStorageFailed,
    MediaTooLarge,
)
from guardapp.guard.media.sandbox import Sandbox
from guardapp.guard.media.sniff import file_size, sniff
from guardapp.guard.media.values import (
    MANIFEST,
    MIB,
    PRESETS,
    Decoded,
    Limits,
    from_manifest,
    preset_values,
    read_manifest,
    to_manifest,
)
from guardapp.guard.verdict import MediaPreset

__all__ = [
    "DEFAULT_LIMITS",
    "PRESETS",
    "Decoded",
    "Job",
    "Limits",
    "MediaError",
    "decode",
    "decode_many",
    "load_seen",
    "sniff",
]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Job:
    """One file to decode, and the folder for its frames."""

    source: Path
    out_dir: Path


def decode(source: Path, out_dir: Path, preset: MediaPreset, limits: Limits = DEFAULT_LIMITS) -> Decoded:
    """Decode one picture or video to PNG frames in `out_dir`, described by a frames.json.

    If the folder already holds this source under this preset, it is returned as it is; any other content is replaced.
    `out_dir` is replaced atomically. The child has `limits.wall_s` seconds. Raises a MediaError with a stable `code`.
    """
    with Sandbox(limits) as sandbox:
        return _decode(Job(source, out_dir), preset, limits, sandbox)


def decode_many(
    jobs: Sequence[Job], preset: MediaPreset, limits: Limits = DEFAULT_LIMITS
) -> list[Decoded | MediaError]:
    """Decode many files with one child process, in the order of `jobs`. A failure affects only its own file."""
    results: list[Decoded | MediaError] = []
    with Sandbox(limits) as sandbox:
        for job in jobs:
            try:
                results.append(_decode(job, preset, limits, sandbox))
            except MediaError as error:
                results.append(error)
    return results


def load_seen(out_dir: Path) -> Decoded:
    """Load what `decode` stored in `out_dir`. Raises MediaNotStored."""
    return from_manifest(read_manifest(out_dir), out_dir)


def _decode(job: Job, preset: MediaPreset, limits: Limits, sandbox: Sandbox) -> Decoded:
    size = file_size(job.source)
    if size == 0:
        raise MediaEmpty
    if size > limits.max_bytes:
        raise MediaTooLarge(f"{size / MIB:.1f} MiB, at most {limits.max_bytes / MIB:.1f}")
    kind, mime = sniff(job.source)
    identity = {"sha256": _sha256(job.source, limits.max_bytes), "preset": preset_values(preset)}
    stored = _stored(job.out_dir, identity)
    if stored is not None:
        return stored
    with _staging(job.out_dir) as folder:
        request = {
            "source": str(job.source.resolve()),
            "folder": str(folder),
            "kind": kind.value,
            "mime": mime,
            "preset": identity["preset"],
        }
        answer = sandbox.run(request)
        manifest = to_manifest(from_manifest(answer, folder)) | identity
        _publish(folder, manifest, job.out_dir, identity)
    return load_seen(job.out_dir)


def _stored(out_dir: Path, identity: dict[str, Any]) -> Decoded | None:
    try:
        manifest = read_manifest(out_dir)
        if all(manifest.get(key) == value for key, value in identity.items()):
            return from_manifest(manifest, out_dir)
    except MediaNotStored:
        pass
    return None


@contextmanager
def _staging(out_dir: Path) -> Iterator[Path]:
    """Create a folder next to out_dir, so that a rename can publish it; always removed afterwards."""
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent.resolve()))
    except OSError as error:
        raise MediaStorageFailed(error.strerror or "") from error
    try:
        folder = staging / "new"
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(folder: Path, manifest: dict[str, Any], out_dir: Path, identity: dict[str, Any]) -> None:
    """Write frames.json last and move the folder into place, unless another process has published the same result."""
    if _stored(out_dir, identity) is not None:
        return
    try:
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        if out_dir.exists():
            out_dir.replace(folder.parent / "old")
        folder.replace(out_dir)
    except OSError as error:
        if _stored(out_dir, identity) is None:
            raise MediaStorageFailed(error.strerror or "") from error


def _sha256(source: Path, max_bytes: int) -> str:
    """Hex digest. Reads at most max_bytes: the file may grow while it is read."""
    digest = hashlib.sha256()
    left = max_bytes
    try:
        with source.open("rb") as stream:
            while piece := stream.read(min(MIB, left + 1)):
                left -= len(piece)
                if left < 0:
                    raise MediaTooLarge("it grew while it was read")
                digest.update(piece)
    except OSError as error:
        raise MediaNotAFile(error.strerror or "") from error
    return digest.hexdigest()
