"""Stream a JSON array element by element. It tracks only brackets and strings, so a bad element affects no other."""

import re
from collections.abc import Iterator
from typing import IO

from annotation.ingest.jsonl import MAX_LINE_BYTES

CHUNK = 1 << 16
BACKSLASH = ord("\\")
_BRACKET_OR_QUOTE = re.compile(rb'["{}\[\],]')
_DEPTH = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}


class NotAnArray(ValueError):
    """The file starts as a JSON array but does not continue as one; the message names the line."""


def elements(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the line on which each element starts, from 1, and its text.

    Raises NotAnArray if the array is cut off, an element is too long, or something follows the array.
    """
    # `start` is where the current element starts in the window; `at` is the scan position
    window, start, at, line = b"", 0, 0, 1
    depth, inside = 0, False  # depth 1: between elements of the array
    while True:
        found = window.find(b'"', at) if inside else _bracket_or_quote(window, at)
        if found < 0:
            if len(window) - start > MAX_LINE_BYTES:
                raise NotAnArray(f"line {line}: a row is longer than {MAX_LINE_BYTES:,} bytes.")
            more = stream.read(CHUNK)
            if not more:
                raise NotAnArray(f"the array is cut off in or after the row that starts on line {line}.")
            at = len(window) - start
            window, start = window[start:] + more, 0
            continue
        character, at = window[found : found + 1], found + 1
        if character == b'"':
            inside = not inside or _is_escaped(window, found)
        else:
            before, depth = depth, depth + _DEPTH.get(character, 0)
            # a comma between elements, or the end of the array
            if before == 1 and character in b",]}":
                text = window[start : at - 1]
                if text.strip():
                    yield line + text[: len(text) - len(text.lstrip())].count(b"\n"), text.strip()
            if depth == 0:
                if (window[at:] + stream.read(CHUNK)).strip():
                    raise NotAnArray(
                        f"something follows the array, which ends with the row that starts on line {line}."
                    )
                return
            if depth == 1 and character in b"[,":
                line += window.count(b"\n", start, at)
                start = at


def _bracket_or_quote(window: bytes, at: int) -> int:
    match = _BRACKET_OR_QUOTE.search(window, at)
    return match.start() if match else -1


def _is_escaped(window: bytes, at: int) -> bool:
    """Whether an odd number of backslashes precedes `at`, a position in a string."""
    slashes = 0
    while window[at - 1 - slashes] == BACKSLASH:
        slashes += 1
    return slashes % 2 == 1
