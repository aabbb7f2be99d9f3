"""Resolves a row's media references to bytes: an uploaded file, a file in a folder or a data: URL.

Pictures at https addresses are fetched only through `with_fetching`, and only if the operator has listed hosts.
"""

import base64
import binascii
import time
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile

from annotation.ingest.read_fields import FieldReader
from annotation.ingest.values import MAX_MEDIA_OF_AN_ITEM, IncomingMedia
from annotation.media.fetch import FETCH_S, PictureNotFetched, fetch_picture, fetching_is_on


class MediaNotFound(Exception):
    """The row names a file that did not come with it."""


class MediaFinder(Protocol):
    """Finds the file named by a row. Raises MediaNotFound, with a message for the sender."""

    def __call__(self, name: str) -> bytes | Path: ...


def no_files(name: str) -> bytes | Path:
    raise MediaNotFound(
        f"names the file {name!r}, but no file came with it. Send multipart/form-data with the file, or a data: URL."
    )


def files_of_upload(files: "Sequence[tuple[str, UploadedFile[bytes]]]") -> MediaFinder:
    """Return a finder for files uploaded with the rows: (field name, file).

    A row names a file by its field name or by the file name that the sender gave. Only if no name is exactly the same,
    names count as the same in another Unicode form or as browsers write them, and then the last part of a path. A name
    that several files have is refused, since any choice could be the wrong one.
    """
    exact, alike, last = (defaultdict[str, list["UploadedFile[bytes]"]](list) for _ in range(3))
    for field, upload in files:
        given = str(getattr(upload, "given_name", upload.name))
        for names, found in (
            ({field, given}, exact),
            ({_plain(field), _plain(given)}, alike),
            ({_last_part(_plain(given)), _plain(str(upload.name))}, last),
        ):
            for name in names:
                found[name].append(upload)

    def find(name: str) -> bytes | Path:
        uploads = exact.get(name) or alike.get(_plain(name)) or last.get(_plain(name)) or []
        if not uploads:
            raise MediaNotFound(f"names the file {name!r}, which is not among the uploaded files.")
        if len(uploads) > 1:
            raise MediaNotFound(
                f"names the file {name!r}, and {len(uploads)} of the uploaded files have this name. "
                "Give each file a field name of its own, and name it by that."
            )
        [upload] = uploads
        if isinstance(upload, TemporaryUploadedFile):
            return Path(upload.temporary_file_path())
        upload.seek(0)
        content: bytes = upload.read()
        return content

    return find


def _plain(name: str) -> str:
    """The name in one Unicode form, with what browsers escape in it (HTML, multipart/form-data)."""
    for escaped, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        name = name.replace(escaped, character)
    return unicodedata.normalize("NFC", name)


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def files_in_folder(root: Path) -> MediaFinder:
    """Return a finder for files below `root`. Names cannot escape it, not even through symbolic links.

    A name that no file has exactly is looked for in other Unicode forms, which archives and systems change.
    """
    root = root.resolve()

    def find(name: str) -> bytes | Path:
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise MediaNotFound(f"names {name!r}, which is outside the media folder.")
        if path.is_file():
            return path
        found = _in_other_forms(root, path)
        if not found:
            raise MediaNotFound(f"names the file {name!r}, which is not in the media folder.")
        if len(found) > 1:
            raise MediaNotFound(
                f"names the file {name!r}, and {len(found)} files in the media folder have this name in other Unicode "
                "forms. Write it as one of them does."
            )
        return found[0]

    return find


def _in_other_forms(root: Path, path: Path) -> list[Path]:
    """The files below `root` at the path, if names in another Unicode form count as the same."""
    places = [root]
    for part in path.relative_to(root).parts:
        wanted = unicodedata.normalize("NFC", part)
        alike = [
            inner
            for place in places
            if place.is_dir()
            for inner in place.iterdir()
            if unicodedata.normalize("NFC", inner.name) == wanted and inner.resolve().is_relative_to(root)
        ]
        places = [inner for inner in alike if inner.name == part] or alike
    return [place for place in places if place.is_file()]


class Fetching:
    """A finder that also fetches pictures. Create one per request: its fetches share FETCH_S seconds."""

    def __init__(self, find: MediaFinder) -> None:
        self._find = find
        self._deadline = time.monotonic() + FETCH_S

    def __call__(self, name: str) -> bytes | Path:
        if name[:6].lower() != "https:":
            return self._find(name)
        try:
            return fetch_picture(name, deadline=self._deadline)
        except PictureNotFetched as error:
            raise MediaNotFound(str(error)) from error


def with_fetching(find: MediaFinder) -> MediaFinder:
    return Fetching(find) if fetching_is_on() else find


def read_media(reader: FieldReader, name: str, find: MediaFinder) -> tuple[IncomingMedia, ...]:
    """Read the row's list of media; each entry is a file name or a data: URL."""
    entries = reader.sequence(name)
    if len(entries) > MAX_MEDIA_OF_AN_ITEM:
        reader.refuse(name, f"has {len(entries):,} entries, the limit is {MAX_MEDIA_OF_AN_ITEM}.")
        return ()
    media = (read_medium(reader, f"{name}/{position}", entry, find) for position, entry in enumerate(entries))
    return tuple(medium for medium in media if medium is not None)


def read_medium(reader: FieldReader, name: str, entry: object, find: MediaFinder) -> IncomingMedia | None:
    if not isinstance(entry, str) or not entry or "\x00" in entry:
        reader.refuse(name, "must be the name of an uploaded file or a data: URL.")
        return None
    pointer = f"{reader.at}/{name}"
    start = entry[:8].lower()
    fetched = isinstance(find, Fetching) and start.startswith("https:")
    if not fetched and start.startswith(("http:", "https:", "ftp:", "s3:", "gs:", "file:", "//")):
        reader.refuse(name, "is a URL, and fetching by URL is not offered: upload the file, or send it as a data: URL.")
        return None
    try:
        return IncomingMedia(_decode(entry) if start.startswith("data:") else find(entry), pointer)
    except MediaNotFound as error:
        reader.refuse(name, str(error))
    except (OSError, ValueError) as error:
        reader.refuse(name, f"cannot be read: {error}")
    return None


def _decode(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ValueError("a data: URL must be base64, as in data:image/png;base64,iVBOR…")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the data: URL is not base64 ({error})") from error
