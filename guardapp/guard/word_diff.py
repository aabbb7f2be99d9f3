"""Word-level diff of a reviewer's edits."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_TOKEN = re.compile(r"\s+|\S+")
# Token pairs. Beyond this, the changed middle is shown as one deletion and one insertion.
MAX_COMPARED = 4_000_000
# Equal pairs of words, times the words: a word that comes again and again makes the comparison cubic.
MAX_EQUAL = 20_000_000

Op = Literal["equal", "insert", "delete"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text: in both versions (equal), only in the old one (delete) or only in the new one (insert)."""

    op: Op
    text: str


def word_diff(before: str, after: str) -> list[Segment]:
    """Return segments in reading order: equal and delete join to `before`, equal and insert to `after`.

    No segment is empty and no two neighbours have the same op; a replacement is a delete followed by an insert.
    """
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    head = _common_prefix(old, new)
    tail = _common_prefix(old[head:][::-1], new[head:][::-1])
    segments: list[Segment] = []
    _append(segments, "equal", old[:head])
    _compare(segments, old[head : len(old) - tail], new[head : len(new) - tail])
    _append(segments, "equal", old[len(old) - tail :])
    return segments


def _compare(segments: list[Segment], old: list[str], new: list[str]) -> None:
    if len(old) * len(new) > MAX_COMPARED or _equal_pairs(old, new) * min(len(old), len(new)) > MAX_EQUAL:
        _append(segments, "delete", old)
        _append(segments, "insert", new)
        return
    # Whitespace is junk: blanks alone must not align two otherwise different texts.
    for op, i, j, k, m in SequenceMatcher(str.isspace, old, new, autojunk=False).get_opcodes():
        if op == "equal":
            _append(segments, "equal", old[i:j])
        else:
            _append(segments, "delete", old[i:j])
            _append(segments, "insert", new[k:m])


def _equal_pairs(old: list[str], new: list[str]) -> int:
    counts = Counter(token for token in new if not token.isspace())
    return sum(counts[token] for token in old)


def _append(segments: list[Segment], op: Op, tokens: list[str]) -> None:
    text = "".join(tokens)
    if not text:
        return
    if segments and segments[-1].op == op:
        segments[-1] = Segment(op, segments[-1].text + text)
    else:
        segments.append(Segment(op, text))


def _common_prefix(old: list[str], new: list[str]) -> int:
    length = 0
    for left, right in zip(old, new, strict=False):
        if left != right:
            break
        length += 1
    return length
