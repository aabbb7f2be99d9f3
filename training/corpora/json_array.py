"""Stream a JSON array element by element. It tracks only brackets and strings, so a bad element affects no other."""

import re
from collections.abc import Iterator
from typing import IO

from annotation.ingest.jsonl import MAX_LINE_BYTES

CHUNK = 1 << 16
_OUTSIDE = re.compile(rb'["{}\[\],]')
_INSIDE = re.compile(rb'["\\]')
_DEPTH = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}


class NotAnArray(ValueError):
    """The file starts as a JSON array but does not continue as one; the message names the line."""


def elements(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the line on which each element starts, from 1, and its text.

    Raises NotAnArray if the array is cut off, an element is too long, or something follows the array.
    """
    # the window starts at the current element; `at` is the scan position
    window, at, line = b"", 0, 1
    depth, inside = 0, False  # depth 1: between elements of the array
    while True:
        match = (_INSIDE if inside else _OUTSIDE).search(window, at)
        if match is None:
            if len(window) > MAX_LINE_BYTES:
                raise NotAnArray(f"line {line}: a row is longer than {MAX_LINE_BYTES:,} bytes.")
            at, more = max(at, len(window)), stream.read(CHUNK)
            if not more:
                raise NotAnArray(f"the array is cut off in or after the row that starts on line {line}.")
            window += more
            continue
        character, at = match[0], match.end()
        if character == b"\\":
            # skip the escaped character, which may not be read yet
            at += 1
        elif character == b'"':
            inside = not inside
        else:
            before, depth = depth, depth + _DEPTH.get(character, 0)
            # a comma between elements, or the end of the array
            if before == 1 and character in b",]}":
                text = window[: at - 1]
                if text.strip():
                    yield line + text[: len(text) - len(text.lstrip())].count(b"\n"), text.strip()
            if depth == 0:
                if (window[at:] + stream.read(CHUNK)).strip():
                    raise NotAnArray(
                        f"something follows the array, which ends with the row that starts on line {line}."
                    )
                return
            if depth == 1 and character in b"[,":
                line += window.count(b"\n", 0, at)
                window, at = window[at:], 0
