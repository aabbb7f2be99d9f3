"""Reads exports: a file of JSON lines (plain or gzip), a ZIP archive with its media, or a folder of either's parts."""

import gzip
import hashlib
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson
from django.utils.translation import gettext as _

from annotation.errors import ServiceError
from annotation.importing.record import Medium
from annotation.ingest.jsonl import Lines, bounded_lines
from guardapp.guard.media.values import Limits

ROWS = "rows.jsonl"
# the only names under which media is looked for
URI = re.compile(r"media/[0-9a-f]{64}\.[a-z0-9]{1,8}")
GZIP_MAGIC, ZIP_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
CHUNK = 1 << 20
MOST_MEMBERS = 1_000_000


class ExportNotReadable(ServiceError):
    """This is no canonical export: JSON lines, plain or .gz, the ZIP archive with media, or a folder of such files."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an export, numbered from 1 in its file."""

    file: str
    number: int
    text: bytes


class Source(Protocol):
    """An export that is open."""

    def lines(self) -> Iterator[Line]: ...

    def media(self, medium: Medium) -> "Path | None":
        """A file with the medium's bytes, which the caller must check, or None if there is none."""


@contextmanager
def open_source(path: Path, media: Path | None = None) -> Iterator[Source]:
    """Open an export. `media` is the media folder of the installation that wrote it, or of the export.

    Raises ExportNotReadable.
    """
    if path.is_dir():
        yield _Folder(path, media or path)
        return
    with path.open("rb") as file:
        head = file.read(4)
    if head == ZIP_MAGIC:
        with tempfile.TemporaryDirectory(prefix="guardapp-import-") as scratch, _opened(path) as archive:
            yield _Archive(archive, Path(scratch), media)
    elif head == PARQUET_MAGIC:
        raise ExportNotReadable(_("Parquet cannot be imported. Export JSON lines, and import these."))
    else:
        yield _File(path, media or path.parent)


def _opened(path: Path) -> zipfile.ZipFile:
    with _whole_archive():
        return zipfile.ZipFile(path)


@contextmanager
def _whole_archive() -> Iterator[None]:
    try:
        yield
    # an encrypted member is a RuntimeError
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ExportNotReadable(_("This archive is broken, cut off or encrypted.")) from error


def _next_of(lines: Iterator[Line]) -> Line | None:
    with _whole_archive():
        return next(lines, None)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    media_root: Path | None

    def lines(self) -> Iterator[Line]:
        with self.path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
        with gzip.open(self.path) if packed else self.path.open("rb") as stream:
            try:
                yield from _numbered(self.path.name, stream)
            except (OSError, EOFError, zlib.error) as error:
                raise ExportNotReadable(
                    _("%(file)s is broken or cut off. Rows read so far are stored; import it again when it is whole.")
                    % {"file": self.path.name}
                ) from error

    def media(self, medium: Medium) -> Path | None:
        return None if self.media_root is None else _in_folder(self.media_root, medium)


@dataclass(frozen=True, slots=True)
class _Folder:
    folder: Path
    media_root: Path

    def lines(self) -> Iterator[Line]:
        files = sorted(path for path in self.folder.iterdir() if path.name.endswith((".jsonl", ".jsonl.gz")))
        if not files:
            raise ExportNotReadable(_("%(folder)s holds no .jsonl or .jsonl.gz file.") % {"folder": self.folder.name})
        self._check_sums(files)
        for path in files:
            yield from _File(path, None).lines()

    def media(self, medium: Medium) -> Path | None:
        return _in_folder(self.media_root, medium)

    def _check_sums(self, files: list[Path]) -> None:
        """Check the files against the export's manifest, if it is there."""
        manifest = self.folder / "manifest.json"
        if not manifest.is_file():
            return
        try:
            listed = {row["name"]: row["sha256"] for row in orjson.loads(manifest.read_bytes())["files"]}
        except (ValueError, KeyError, TypeError):
            raise ExportNotReadable(_("manifest.json cannot be read.")) from None
        missing = sorted(set(listed) - {path.name for path in files})
        if missing:
            raise ExportNotReadable(_("%(file)s is in manifest.json, but not in the folder.") % {"file": missing[0]})
        for path in files:
            with path.open("rb") as stream:
                if path.name in listed and hashlib.file_digest(stream, "sha256").hexdigest() != listed[path.name]:
                    raise ExportNotReadable(
                        _("%(file)s is not the file that manifest.json lists. Download it again.") % {"file": path.name}
                    )


class _Archive:
    """A ZIP archive. Nothing is written under a member's name; media is copied to a scratch file."""

    def __init__(self, archive: zipfile.ZipFile, scratch: Path, media_root: Path | None) -> None:
        self._archive, self._scratch, self._media_root = archive, scratch, media_root
        names = archive.namelist()
        if len(names) > MOST_MEMBERS:
            raise ExportNotReadable(_("This archive has more than %(most)s files.") % {"most": f"{MOST_MEMBERS:,}"})
        for name in names:
            if name.startswith(("/", "\\")) or "\\" in name or ":" in name or ".." in name.split("/"):
                raise ExportNotReadable(
                    _("This archive holds a file with a path outside of it: %(name)s") % {"name": name[:100]}
                )
        if len(set(names)) != len(names):
            raise ExportNotReadable(_("This archive holds a file twice."))
        if ROWS not in names:
            raise ExportNotReadable(_("This archive holds no rows.jsonl."))

    def lines(self) -> Iterator[Line]:
        with _whole_archive():
            stream = self._archive.open(ROWS)
        with stream:
            lines = _numbered(ROWS, stream)
            while (line := _next_of(lines)) is not None:
                yield line

    def media(self, medium: Medium) -> Path | None:
        if URI.fullmatch(medium.uri) and medium.uri in self._archive.NameToInfo:
            target, limit = self._scratch / "medium", Limits().max_bytes
            with _whole_archive(), self._archive.open(medium.uri) as stream, target.open("wb") as copy:
                # one byte more than the limit says that it is too large
                while copy.tell() <= limit and (chunk := stream.read(CHUNK)):
                    copy.write(chunk)
            return target
        return None if self._media_root is None else _in_folder(self._media_root, medium)


def _numbered(file: str, stream: Lines) -> Iterator[Line]:
    for number, text in enumerate(bounded_lines(stream), start=1):
        if text.strip():
            yield Line(file, number, text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text)


def _in_folder(root: Path, medium: Medium) -> Path | None:
    """The medium in an unpacked export, or in a media store, whose names are made of the sum."""
    places = [root / "assets" / medium.sha256[:2] / medium.sha256[2:]]
    if URI.fullmatch(medium.uri):
        places.insert(0, root / medium.uri)
    return next((path for path in places if path.is_file() and not path.is_symlink()), None)
