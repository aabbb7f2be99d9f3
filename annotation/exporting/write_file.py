"""Writes blocks of JSON lines to a file: the same bytes in gzip, or Parquet with the columns of the format."""

import gzip
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from annotation.status import ExportLayout

ROWS_OF_A_GROUP = 10_000  # in Parquet, the rows a reader decodes at once
FAST = 1  # gzip level; higher ones double the time to save a tenth of the size


class ParquetMissing(RuntimeError):
    """Parquet files need pyarrow, which is not installed here: pip install pyarrow, or ask for JSON lines."""


class Writer(Protocol):
    """Writes blocks of whole lines."""

    def write(self, lines: bytes) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


SUFFIX = {ExportLayout.JSONL: "jsonl.gz", ExportLayout.PARQUET: "parquet"}


def writer_for(layout: ExportLayout, columns: Callable[[], Any], path: Path) -> Writer:
    """Return a writer for the layout. `columns` returns the pyarrow schema; it is only called for Parquet.

    Raises ParquetMissing.
    """
    return _Packed(path) if layout is ExportLayout.JSONL else _Parquet(path, columns())


class _Packed:
    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        # no timestamp, so that the same rows give the same bytes
        self._packed = gzip.GzipFile("", "wb", FAST, self._raw, mtime=0)

    def write(self, lines: bytes) -> None:
        self._packed.write(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()
        self._raw.close()


class _Parquet:
    def __init__(self, path: Path, schema: Any) -> None:
        from pyarrow import parquet

        self._schema, self._waiting, self._rows = schema, list[Any](), 0
        self._file = parquet.ParquetWriter(path, schema, compression="zstd")

    def write(self, lines: bytes) -> None:
        """Write lines. A field missing from the schema is an error, so that nothing is silently dropped."""
        import pyarrow
        from pyarrow import json

        table = json.read_json(
            pyarrow.BufferReader(lines),
            json.ReadOptions(use_threads=False, block_size=len(lines)),
            json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error"),
        )
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= ROWS_OF_A_GROUP:
            self._write_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._write_group()
        self._file.close()

    def _write_group(self) -> None:
        import pyarrow

        if self._waiting:
            self._file.write_table(pyarrow.concat_tables(self._waiting))
        self._waiting, self._rows = [], 0
