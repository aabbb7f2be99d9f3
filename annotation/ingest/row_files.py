"""Reads files of rows, whose format is detected from the content, not the name.

Accepted: JSON lines, a JSON array or object, or CSV with a header line and any common delimiter; in UTF-8 or UTF-16,
with or without a byte order mark, with any line ending; plain, gzip-compressed, or in a ZIP archive.
"""

import csv
import gzip
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import IO, Any

from django.utils.translation import gettext as _

from annotation.errors import ServiceError
from annotation.ingest.row_json import encoding_of, read_json_rows

MAX_ROW_CHARACTERS = 64 * 1024 * 1024
MAX_MEMBERS = 1_000
MAX_HEADER_CHARACTERS = 1 << 20
# of an archive: rows of text are packed to a tenth, and nothing but the same line again and again to a hundredth
UNPACKED_TIMES, UNPACKED_ALWAYS = 100, 1 << 20
JUDGED_LINES = 50
HEAD_BYTES = 1 << 16
PIECE_CHARACTERS = 1 << 16
GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
OTHER_FILES = {b"PAR1": "Parquet", b"%PDF": "PDF", b"\xd0\xcf\x11\xe0": "Excel", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR"}
DELIMITERS = ",;\t|"
# column names used by other tools; unrecognised columns go to the row's metadata
COLUMNS = {"id": "external_id", "text": "prompt", "content": "prompt", "comment": "prompt", "body": "prompt"}
OWN_COLUMNS = ("external_id", "source", "prompt", "response", "messages", "modality", "language", "reported_at")
_BLANKS, _BETWEEN = re.compile(r"\s*"), re.compile(r"[ \t\r\n,]*")
BROKEN = (gzip.BadGzipFile, zlib.error, EOFError, zipfile.BadZipFile)


class FileNotReadable(ServiceError):
    """This is not a file of rows. Send JSON lines, a JSON array, or CSV with a header line."""


class UnpacksTooMuch(FileNotReadable):
    """This archive unpacks to more than a hundred times its size. Rows read so far are stored; send it unpacked."""


@dataclass(slots=True)
class Limit:
    """How many bytes the members of an archive may still unpack to, together."""

    left: int

    @classmethod
    def of(cls, file: IO[bytes]) -> "Limit":
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return cls(max(UNPACKED_ALWAYS, size * UNPACKED_TIMES))


class Bounded(io.BufferedIOBase):
    """An unpacked file that raises UnpacksTooMuch beyond the limit."""

    def __init__(self, file: Any, limit: Limit) -> None:
        self._file, self._limit = file, limit

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
        """Only to the beginning, after a look at the head."""
        self._limit.left += self._file.tell()
        return int(self._file.seek(to, whence))

    def read(self, size: int | None = -1, /) -> bytes:
        whole = size is None or size < 0
        data: bytes = self._file.read(self._limit.left + 1 if whole else min(size, self._limit.left + 1))  # type: ignore[type-var]
        self._limit.left -= len(data)
        if self._limit.left < 0:
            raise UnpacksTooMuch
        return data

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(HEAD_BYTES if size < 0 else size)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file: its line (CSV and JSON lines) or its number from 1, and its value or the problem with it.

    `size` is its approximate length in the file, in characters.
    """

    number: int
    value: Any = None
    problem: str = ""
    size: int = 0


def rows_of_file(file: IO[bytes]) -> Iterator[FileRow]:
    """Yield the rows of a seekable file, without holding all of it in memory.

    Raises FileNotReadable: at the start if the format is not supported, or later if an archive is damaged.
    """
    try:
        yield from _rows(file, packed=False)
    except BROKEN as error:
        raise FileNotReadable(
            _("This archive is broken or cut off. Rows read so far are stored; pack it again and send it again.")
        ) from error


def _rows(file: IO[bytes], *, packed: bool) -> Iterator[FileRow]:
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if head.startswith((GZIP_MAGIC, ZIP_MAGIC)) and packed:
        raise FileNotReadable(_("This archive holds another archive. Unpack it once and send what is inside."))
    if head.startswith(GZIP_MAGIC):
        limit = Limit.of(file)
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from _rows(Bounded(unpacked, limit), packed=True)  # type: ignore[arg-type]
    elif head.startswith(ZIP_MAGIC):
        yield from _members(file)
    else:
        yield from _of_text(file, head)


def _members(file: IO[bytes]) -> Iterator[FileRow]:
    limit = Limit.of(file)
    with zipfile.ZipFile(file) as archive:
        members = [one for one in archive.infolist() if not one.is_dir() and not _is_hidden(one.filename)]
        if len(members) > MAX_MEMBERS:
            words = _("This archive holds %(count)s files, the limit is %(most)s.")
            raise FileNotReadable(words % {"count": len(members), "most": MAX_MEMBERS})
        for member in members:
            with archive.open(member) as unpacked:
                try:
                    yield from _rows(Bounded(unpacked, limit), packed=True)  # type: ignore[arg-type]
                except UnpacksTooMuch:
                    raise
                except FileNotReadable as error:
                    yield FileRow(0, problem=f"{member.filename[:200]}: {error}")
                except (RuntimeError, NotImplementedError) as error:  # encrypted, or unsupported compression
                    yield FileRow(0, problem=f"{member.filename[:200]}: {error}")


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _of_text(file: IO[bytes], head: bytes) -> Iterator[FileRow]:
    encoding, mark = encoding_of(head)
    beginning = head[mark:].decode(encoding, "replace").lstrip()
    if not beginning:
        raise FileNotReadable(_("This file is empty. Choose one with at least one row."))
    other = next((name for magic, name in OTHER_FILES.items() if head.startswith(magic)), "")
    if other or "\x00" in beginning[:1_000]:
        words = _("This is a %(kind)s file. Send JSON lines, a JSON array, or CSV with a header line.")
        raise FileNotReadable(words % {"kind": other or _("binary")})
    file.read(mark)
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    text = io.TextIOWrapper(file, encoding, errors, newline="" if beginning[0] not in "[{" else None)
    try:
        if beginning[0] == "{" and _is_lines(beginning):
            yield from _of_lines(text)
        elif beginning[0] in "[{":
            yield from _of_values(text)
        else:
            yield from _of_csv(text, beginning)
    finally:
        text.detach()


def _is_lines(beginning: str) -> bool:
    """Whether each line is a row, not part of a multi-line object: true if any complete line is a JSON object."""
    *whole, last = beginning.splitlines()
    if not whole and len(last) >= HEAD_BYTES // 4:  # the first line is longer than the part read
        return True
    for line in [*whole[:JUDGED_LINES], last]:
        try:
            if isinstance(json.loads(line), dict):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def _of_lines(text: io.TextIOWrapper) -> Iterator[FileRow]:
    number = 0
    while line := text.readline(MAX_ROW_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_ROW_CHARACTERS:
            yield FileRow(number, problem=f"is longer than {MAX_ROW_CHARACTERS:,} characters.")
            while line and not line.endswith("\n"):
                line = text.readline(MAX_ROW_CHARACTERS)
        elif line.strip():
            yield row_of_line(number, line)


def row_of_line(number: int, line: bytes | str) -> FileRow:
    try:
        return FileRow(number, read_json_rows(line), size=len(line))
    except ValueError as error:
        return FileRow(number, problem=f"is not JSON: {error}")


def _of_values(text: io.TextIOWrapper) -> Iterator[FileRow]:
    """Yield the elements of a JSON array, or consecutive multi-line JSON objects; {"items": […]} is unpacked.

    Reading stops at the first invalid JSON, because the start of the next row cannot be determined.
    """
    read, held, at, number = json.JSONDecoder().raw_decode, "", 0, 0
    wanted, opened = PIECE_CHARACTERS, False
    while True:
        at = (_BETWEEN if opened or number else _BLANKS).match(held, at).end()  # type: ignore[union-attr]
        if not opened and not number and held.startswith("[", at):
            at, opened = at + 1, True
            continue
        if opened and held.startswith("]", at):
            return
        begins = at
        try:
            if at == len(held):
                raise ValueError("there is more to come")
            value, at = read(held, at)
        except (ValueError, RecursionError) as error:
            # cut off here only: doing so after each value would copy the rest for each of them
            held, at = held[at:], 0
            piece = text.read(wanted)
            wanted = min(wanted * 2, MAX_ROW_CHARACTERS)
            if piece and len(held) <= MAX_ROW_CHARACTERS:
                held += piece
                continue
            if held.strip() or opened:
                yield FileRow(number + 1, problem=f"is not JSON: {error}. Nothing after it was read.")
            return
        wanted = PIECE_CHARACTERS
        inner = value.get("items") if isinstance(value, dict) and not opened and set(value) == {"items"} else None
        for one in inner if isinstance(inner, list) else [value]:
            number += 1
            yield FileRow(number, one, size=at - begins)


def _of_csv(text: io.TextIOWrapper, beginning: str) -> Iterator[FileRow]:
    header = beginning.replace("\r", "\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header.count)
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    lengths = chain([MAX_HEADER_CHARACTERS], repeat(MAX_ROW_CHARACTERS))
    reader = csv.reader(iter(lambda: text.readline(next(lengths)), ""), delimiter=delimiter)
    columns = _columns(next(reader, []))
    while True:
        before = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRow(before, problem=f"is not CSV: {error}.")
            continue
        if any(cell.strip() for cell in cells):
            yield _of_cells(before, columns, cells)


def _columns(header: Iterable[str]) -> list[str]:
    """Return the field of each column. Raises FileNotReadable if there is no text column or a field occurs twice."""
    names = [COLUMNS.get(name.strip().lower(), name.strip()) for name in header]
    names = [name.lower() if name.lower() in OWN_COLUMNS else name for name in names]
    if not {"prompt", "response", "messages"} & set(names):
        words = _(
            "The first line names no column with text: %(names)s. Call the columns external_id, prompt, response."
        )
        raise FileNotReadable(words % {"names": ", ".join(names)[:200]})
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        words = _("The column %(name)s is there twice. Rename one of them.")
        raise FileNotReadable(words % {"name": twice[0]})
    return names


def _of_cells(number: int, columns: list[str], cells: list[str]) -> FileRow:
    if len(cells) > len(columns):
        words = f"has {len(cells)} cells where the header has {len(columns)}. Put text with the delimiter into quotes."
        return FileRow(number, problem=words)
    filled = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    row: dict[str, Any] = {name: filled.pop(name) for name in OWN_COLUMNS if name in filled}
    if "messages" in row:
        try:
            row["messages"] = read_json_rows(row["messages"])
        except ValueError as error:
            return FileRow(number, problem=f"has messages that are not JSON: {error}.")
    return FileRow(number, row | ({"metadata": filled} if filled else {}), size=sum(map(len, cells)))
