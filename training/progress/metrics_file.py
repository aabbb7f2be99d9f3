"""Read metrics.jsonl for the pages: from a cursor, thinned for charts, complete lines only."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

CURVE_POINTS = 400  # more than a chart can show
TAIL_BYTES = 256 * 1024  # some hundreds of GRPO lines
Line = dict[str, Any]
Thing = TypeVar("Thing")


def lines_after(path: Path, cursor: int) -> tuple[list[Line], int]:
    """Return the complete lines after byte `cursor`, and the new cursor.

    A partial line left by a killed job is skipped. If the cursor is beyond the end (the file was replaced), the whole
    file is read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(cursor if 0 <= cursor <= size else 0)
            begun = file.tell()
            content = file.read()
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    return _parsed(whole), begun + len(whole)


def last_lines(path: Path, size: int = TAIL_BYTES) -> list[Line]:
    """The complete lines in the file's last `size` bytes."""
    try:
        total = path.stat().st_size
    except FileNotFoundError:
        return []
    begin = max(0, total - size)
    with path.open("rb") as file:
        file.seek(begin)
        content = file.read()
    return _parsed(content.partition(b"\n")[2] if begin else content)


def by_step(lines: Iterable[Line]) -> list[Line]:
    """One line per step, in order. After a resume, the later line of a step counts."""
    newest = {int(line["step"]): line for line in lines if isinstance(line.get("step"), int | float)}
    return [newest[step] for step in sorted(newest)]


def thinned(rows: Sequence[Thing], most: int = CURVE_POINTS) -> list[Thing]:
    """Select at most `most` rows evenly, including the last."""
    if len(rows) <= most:
        return list(rows)
    stride = len(rows) / most
    return [rows[int(number * stride)] for number in range(most - 1)] + [rows[-1]]


def finite(value: Any) -> float | int | None:
    """A number that JSON and charts can represent; None for NaN, infinity and other values."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _parsed(content: bytes) -> list[Line]:
    found = []
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            found.append(line)
    return found
