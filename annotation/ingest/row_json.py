"""JSON of rows that others wrote, read so that what is wrong with one row stays with that row."""

import codecs
import json
from typing import Any

import orjson

# a longer one first: the mark of UTF-32 begins with that of UTF-16
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding that the first bytes show, and the length of its byte order mark; UTF-8 by default."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name, len(mark)
    # text of rows begins with ASCII, so UTF-16 without a mark has a zero in every second byte
    if len(head) >= 4 and head[1:8:2].count(0) == len(head[1:8:2]) and head[0]:
        return "utf-16-le", 0
    if len(head) >= 4 and head[0:8:2].count(0) == len(head[0:8:2]) and head[1]:
        return "utf-16-be", 0
    return "utf-8", 0


def decoded(body: bytes) -> str:
    """The body as text. Bytes that its encoding does not know become half surrogates: they are found in their row."""
    encoding, mark = encoding_of(body[:16])
    return body[mark:].decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")


def read_json_rows(body: bytes | str) -> Any:
    """JSON, and beyond that what Python reads: NaN, half surrogates, other encodings. Raises ValueError.

    What no database can store is left for annotation.database.storable to find and name.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(body if isinstance(body, str) else decoded(body))
        except (ValueError, RecursionError):
            raise ValueError(str(error)) from error
