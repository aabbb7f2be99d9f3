"""Reasoning text ↔ steps: where a step ends, how step text is cleaned, which hazard codes steps name."""

import re
from collections.abc import Collection, Iterable

# Tried in this order: the first kind found at the start of a line divides the text.
_MARKERS = (
    # "Step 1: …", "## Reasoning Step 1", "**Step 2.** …", "## Conclusion: …"; "Step 2 shows that" is prose
    re.compile(
        r"^\s*(?:(?:#{1,6}\s*|\*\*)?(?:reasoning\s+)?step\s+\d+(?:\s*[:.)]\**|\**\s*$)|#{1,6}\s*conclusion\s*:)\s*",
        re.IGNORECASE,
    ),
    re.compile(r"^\s*\d{1,4}[.)]\s+"),  # "1. …", "2) …"
    re.compile(r"^\s*[-*•]\s+"),  # "- …"
)
# Structural lines without reasoning: "# Task 1: harmful", "Task 2:", "Task 1 Conclusion", "# Answers:", "---".
_STRUCTURE = re.compile(
    r"^(?:-{3,}|#{1,6} ?(?:conclusion for )?task \d{1,2}\b.*"
    r"|[#* ]*(?:task \d{1,2}(?: conclusion)?|conclusion|answers?) ?:?[* ]*)$",
    re.IGNORECASE,
)
# control characters (Cc) except whitespace, and surrogates (Cs)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_TAG_OPENING = re.compile(r"<(?=\s*/?\s*(?:think|result)|\|)", re.IGNORECASE)
_PARENTHESISED = re.compile(r"\(([^()]{1,120})\)")
_CODE_SEPARATOR = re.compile(r"[\s,;/&]+")


def clean_step(text: str) -> str:
    """Reduce a step to one line that cannot break or forge the grammar. Idempotent; may return "".

    Whitespace collapses, control characters and lone surrogates are removed, and the `<` that opens `<think>`,
    `</think>`, `<result>`, `</result>` or a chat template's `<|token|>` becomes `‹`.
    """
    # printable text has no whitespace except the space
    if text.isprintable():
        line = " ".join(text.split()) if "  " in text or text[:1] == " " or text[-1:] == " " else text
    else:
        line = " ".join(_UNPRINTABLE.sub("", text).split())
    return _TAG_OPENING.sub("‹", line) if "<" in line else line


def split_steps(reasoning: str) -> tuple[str, ...]:
    """Split reasoning into clean steps without their markers.

    It is split by leading markers if there are any: step headings, else numbers, else bullets. Text before the first
    marker is a step of its own. Without markers it is split by blank lines, or else by lines. Empty steps and purely
    structural lines are dropped.
    """
    lines = [line for line in reasoning.split("\n") if not _STRUCTURE.match(" ".join(line.split()))]
    for marker in _MARKERS:
        if any(marker.match(line) for line in lines):
            return _clean(_between(lines, marker))
    paragraphs = _clean(_BLANK_LINES.split("\n".join(lines)))
    return paragraphs if len(paragraphs) > 1 else _clean(lines)


def categories_named(steps: Iterable[str], codes: Collection[str]) -> tuple[str, ...]:
    """Hazard codes that the steps name in parentheses, "(S10)" or "(S1, S10)", in order of first mention.

    Every word in the parentheses must be a code, so "(Galaxy S10)" names none. A code in a negated sentence counts too:
    the guard is trained to name a category only if it applies.
    """
    named: dict[str, None] = {}
    for step in steps:
        for inside in _PARENTHESISED.findall(step):
            words = [word for word in _CODE_SEPARATOR.split(inside) if word and word != "and"]
            if words and all(word in codes for word in words):
                named.update(dict.fromkeys(words))
    return tuple(named)


def _between(lines: list[str], marker: re.Pattern[str]) -> list[str]:
    parts = [""]
    for line in lines:
        match = marker.match(line)
        if match:
            parts.append(line[match.end() :])
        else:
            parts[-1] += "\n" + line
    return parts


def _clean(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(cleaned for part in parts if (cleaned := clean_step(part)))
