"""Lenient parsing of untrusted JSON, so that a faulty row does not affect the others."""

import codecs
import json
from typing import Any

import orjson

# longer marks first: the UTF-32 mark starts with the UTF-16 one
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def encoding_of(head: bytes) -> tuple[str, int]:
    """Detect the encoding from the first bytes, UTF-8 by default; also return the length of the byte order mark."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name, len(mark)
    # rows start with ASCII text, so every second byte is zero in UTF-16 without a mark
    if len(head) >= 4 and head[1:8:2].count(0) == len(head[1:8:2]) and head[0]:
        return "utf-16-le", 0
    if len(head) >= 4 and head[0:8:2].count(0) == len(head[0:8:2]) and head[1]:
        return "utf-16-be", 0
    return "utf-8", 0


def decoded(body: bytes) -> str:
    """Decode the body. Invalid UTF-8 bytes become lone surrogates, which are reported later, with their row."""
    encoding, mark = encoding_of(body[:16])
    return body[mark:].decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")


def read_json_rows(body: bytes | str) -> Any:
    """Parse JSON, also accepting NaN, lone surrogates and other encodings, as Python does. Raises ValueError.

    annotation.database.storable reports values that cannot be stored in a database.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(body if isinstance(body, str) else decoded(body))
        except (ValueError, RecursionError):
            raise ValueError(str(error)) from error
