"""Imported rows → snapshot rows, with their media decoded in the sandbox, chunk by chunk."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from django.conf import settings

from annotation.ingest.values import FieldError
from annotation.media.files import frames_folder, share_frames
from annotation.predictions.active_policy import policy_codes
from guardapp.guard.media.decode import PRESETS, Decoded, Job, MediaError, decode_many
from guardapp.guard.splits import group_key
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Sample, SeenMedia
from training.corpora.values import BadRow, ImportedMedium, ImportedRow
from training.learning.rows import Row

# Rows per decoding child; their decoded frames are on disk, not in memory.
CHUNK = 128
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class DecodedRow:
    """A row with the media hashes that link it to near-copies."""

    row: Row
    media_sha256: tuple[str, ...]


def decoded_rows(rows: Iterable[ImportedRow | BadRow], *, source: str) -> Iterator[DecodedRow | BadRow]:
    """Decode rows in order. A file that fails affects only its own rows; `source` is stored in the snapshot rows."""
    codes = policy_codes(None)
    for chunk in chunks(rows, CHUNK):
        with tempfile.TemporaryDirectory() as folder:
            found = _Files(Path(folder))
            hashes = [
                [found.add(medium) for medium in row.media] if isinstance(row, ImportedRow) else [] for row in chunk
            ]
            found.decode()
            for row, sha256s in zip(chunk, hashes, strict=True):
                yield row if isinstance(row, BadRow) else _decoded(row, found, sha256s, source, codes)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class _Files:
    """The media of a chunk; each file is decoded once, by its sha256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources: dict[str, Path] = {}
        self.results: dict[str, Decoded | MediaError] = {}

    def add(self, medium: ImportedMedium) -> str:
        """Add a file and return its sha256, or "" if it cannot be read any more."""
        content = medium.source.content
        try:
            sha256 = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else _sha256(content)
            if isinstance(content, bytes) and sha256 not in self.sources:
                kept = self.folder / sha256
                kept.write_bytes(content)
                content = kept
        except OSError:
            return ""
        self.sources.setdefault(sha256, content if isinstance(content, Path) else self.folder / sha256)
        return sha256

    def decode(self) -> None:
        if self.sources:
            jobs = [Job(source, frames_folder(sha256)) for sha256, source in self.sources.items()]
            self.results = dict(zip(self.sources, decode_many(jobs, PRESETS[settings.MEDIA_PRESET]), strict=True))
            for sha256, result in self.results.items():
                if isinstance(result, Decoded):
                    share_frames(frames_folder(sha256))


def _decoded(
    row: ImportedRow, found: _Files, sha256s: Sequence[str], source: str, codes: frozenset[str]
) -> DecodedRow | BadRow:
    seen: list[SeenMedia] = []
    for medium, sha256 in zip(row.media, sha256s, strict=True):
        result = found.results.get(sha256)
        if not isinstance(result, Decoded):
            problem = "cannot be read." if result is None else f"cannot be decoded: {result}"
            return BadRow(row.place, (FieldError(medium.source.pointer, problem),), row.value)
        # a corpus counts an animated picture among its pictures
        named = (None, result.seen.kind, MediaKind.IMAGE if result.mime.startswith("image/") else None)
        if medium.kind not in named:
            detail = f"is of kind {result.seen.kind} ({result.mime}), the row says {medium.kind}."
            return BadRow(row.place, (FieldError(medium.source.pointer, detail),), row.value)
        seen.append(result.seen)
    sample = Sample(row.id, row.prompt, row.response, tuple(seen), codes=codes, context=row.context)
    group = group_key(row.prompt, row.response, sha256s, row.context)
    return DecodedRow(
        Row(sample, row.verdict, row.completion, group=group, source=source, target_source="imported", extra=row.extra),
        tuple(sha256s),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
