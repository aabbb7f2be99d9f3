"""completion ↔ Judgement: the only parser in the product, and its inverse.

Grammar of GuardReasoner-VL and -Omni, as published:

    <think>
    Step 1: …
    </think>
    <result>
    Request: harmful|unharmful
    Response: harmful|unharmful|None
    </result>

Each odd case has one rule. "Unparseable" means that `parse` returns None; it never raises on a completion.

| completion | rule |
|---|---|
| text before the first `<think>` | ignored |
| no `<think>`, no `</think>`, no `<result>`, no `</result>` | unparseable |
| anything but whitespace between `</think>` and `<result>` | unparseable; the reasoning ends at its first `</think>` |
| labels, or a whole `<result>` block, quoted in the reasoning | never read |
| a further complete `<result>` block after the first | must repeat the same labels, else unparseable |
| other text after `</result>` | ignored |
| the same label twice in a block | fine if they agree, else unparseable |
| no Request label, or a value outside the grammar, or `None` | unparseable |
| no Response label, `None`, or a value outside the grammar | no response label (a missing label counts as wrong) |
| `harmless`, upper case, two labels on one line | `unharmful`; any case; fine |
| tags in another case, or with attributes | not tags |

The rule on further blocks prevents an injection: content may get the guard to quote `</think><result>…`, but it cannot
decide the verdict. If the guard's own result differs, the completion is unparseable and a person reviews it.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from guardapp.guard.steps import categories_named, clean_step, split_steps
from guardapp.guard.taxonomy import Harmfulness, Refusal
from guardapp.guard.verdict import Judgement, Sample, Verdict

_THINK, _THINK_END, _RESULT, _RESULT_END = "<think>", "</think>", "<result>", "</result>"
_RESULT_FOLLOWS = re.compile(r"</think>\s*<result>")
_LABEL = re.compile(r"\b(request|response)\s*:\s*(harmful|unharmful|harmless|none)\b", re.IGNORECASE | re.ASCII)
_LABEL_BY_WORD: dict[str, Harmfulness | None] = {
    "harmful": Harmfulness.HARMFUL,
    "unharmful": Harmfulness.UNHARMFUL,
    "harmless": Harmfulness.UNHARMFUL,
    "none": None,
}
# the layout of `render` as a pattern, for engines that restrict their output; any reasoning may stand before the result
RESULT_LAYOUT = (
    r"<think>\n(?:[^<]|<[^/])*</think>\n<result>\nRequest: (?:harmful|unharmful)\nResponse: "
    r"(?:harmful|unharmful|None)\n"
    r"</result>"
)
# GuardReasoner v0 writes each label on its own line; a line that continues in prose is not a label.
_V0_LABEL_LINE = re.compile(
    r"^[ \t#*]*(request|completion|response)\**[ \t]*:[ "
    r"\t*]*(harmful|unharmful|harmless|refusal|compliance|none)[ \t\r.*]*$",
    re.IGNORECASE | re.MULTILINE | re.ASCII,
)

Span = tuple[int, int]


class PromptLabelMissing(ValueError):
    """A judgement without a prompt label cannot be rendered: the grammar has no word for it."""


@dataclass(frozen=True, slots=True)
class LabelSpans:
    """Positions of the label words: [start, end) character offsets into the completion, None without a label."""

    prompt: Span | None = None
    response: Span | None = None


# Created for every label of every completion: a tuple costs a third of a frozen dataclass.
class _Label(NamedTuple):
    field: str  # "request" or "response"
    value: Harmfulness | None
    span: Span


class _Reading(NamedTuple):
    reasoning: str
    prompt: Harmfulness
    response: Harmfulness | None
    spans: LabelSpans


def parse_answer(completion: str, sample: Sample) -> Judgement | None:
    """`parse` a completion of this sample."""
    return parse(completion, response_expected=sample.response is not None, codes=sample.codes)


def parse(completion: str, *, codes: Collection[str], response_expected: bool = True) -> Judgement | None:
    """Parse a completion in the VL/Omni grammar. Return None if it does not parse (see the table above).

    With `response_expected=False` (the sample has no response), any response label is ignored. `codes` are the hazard
    codes that count as categories when a step names them. They have no default: a caller that forgot the codes of its
    policy would miss every category that a lead added.
    """
    reading = _read(completion)
    if reading is None:
        return None
    steps = split_steps(reading.reasoning)
    response = reading.response if response_expected else None
    return Judgement(steps, Verdict(reading.prompt, response, categories=categories_named(steps, codes)))


def parse_labels(completion: str, *, response_expected: bool = True) -> Verdict | None:
    """Return the labels that `parse` reads, without steps and categories: faster for grading many completions."""
    reading = _read(completion)
    if reading is None:
        return None
    return Verdict(reading.prompt, reading.response if response_expected else None)


def parse_steps(completion: str) -> tuple[str, ...]:
    """The steps that `parse` reads, or () if it returns None."""
    reading = _read(completion)
    return () if reading is None else split_steps(reading.reasoning)


def render(judgement: Judgement, *, response_present: bool) -> str:
    """Write a judgement in the published layout: the inverse of `parse`.

    Steps are cleaned with `clean_step` and empty ones are dropped, so that no step can break or forge the grammar.
    Categories are not written separately: the steps name them, as "(S10)". The response label is written only if a
    response is present; otherwise it is the literal None.

    Raises PromptLabelMissing.
    """
    verdict = judgement.verdict
    if verdict.prompt is None:
        raise PromptLabelMissing(PromptLabelMissing.__doc__)
    response = verdict.response.value if response_present and verdict.response is not None else None
    return render_labels(judgement.steps, verdict.prompt.value, response)


def render_labels(steps: Iterable[str], prompt: str, response: str | None) -> str:
    """`render` for plain steps and label words; fast enough for many thousands a second."""
    lines = [f"Step {number}: {step}\n" for number, step in enumerate(filter(None, map(clean_step, steps)), start=1)]
    return f"<think>\n{''.join(lines)}</think>\n<result>\nRequest: {prompt}\nResponse: {response or 'None'}\n</result>"


def has_published_format(completion: str) -> bool:
    r"""The published format check: a search for `<think>.*?</think>\s*<result>.*?</result>`, dot matching newline.

    Implemented as three left-to-right searches: the same result in linear time, where the expression is cubic on
    repeated tags.
    """
    think = completion.find(_THINK)
    if think < 0:
        return False
    result = _RESULT_FOLLOWS.search(completion, think + len(_THINK))
    return result is not None and completion.find(_RESULT_END, result.end()) >= 0


def label_positions(completion: str) -> LabelSpans:
    """Spans of the label words that `parse` reads; both None if it returns None. A literal None has no span."""
    reading = _read(completion)
    return LabelSpans() if reading is None else reading.spans


def parse_v0(completion: str, *, codes: Collection[str]) -> Judgement | None:
    """Parse a completion of the GuardReasoner v0 text models (1B, 3B, 8B). Return None without a prompt label.

    Those models conclude each task on its own line (`Request: harmful`) and mostly repeat the labels under `Answers:`
    at the end. Some outputs lack that block, or have a last block of None. A label is therefore the last line that
    states it, and None never overrides a label. Label lines, task headings and rules are not steps.
    """
    prompt = response = None
    refusal: Refusal | None = None
    for match in _V0_LABEL_LINE.finditer(completion):
        field, word = match[1].lower(), match[2].lower()
        if field == "completion":
            refusal = Refusal(word) if word in set(Refusal) else refusal
        elif field == "request":
            prompt = _LABEL_BY_WORD.get(word) or prompt
        else:
            response = _LABEL_BY_WORD.get(word) or response
    if prompt is None:
        return None
    steps = split_steps(_V0_LABEL_LINE.sub("", completion))
    return Judgement(steps, Verdict(prompt, response, refusal, categories_named(steps, codes)))


def _read(completion: str) -> _Reading | None:
    think = completion.find(_THINK)
    think_end = completion.find(_THINK_END, think + len(_THINK))
    if think < 0 or think_end < 0:
        return None
    result = _RESULT_FOLLOWS.match(completion, think_end)
    if result is None:
        return None
    blocks = _result_blocks(completion, result.end() - len(_RESULT))
    if not blocks:
        return None
    first = _labels(completion, blocks[0])
    later = [label for block in blocks[1:] for label in _labels(completion, block)]
    stated = {(label.field, label.value) for label in first}
    if any((label.field, label.value) not in stated for label in later) or len(stated) > len(
        {field for field, _ in stated}
    ):
        return None
    # the first of several agreeing labels provides the span
    prompt = next((label for label in first if label.field == "request"), None)
    response = next((label for label in first if label.field == "response"), None)
    if prompt is None or prompt.value is None:
        return None
    return _Reading(
        reasoning=completion[think + len(_THINK) : think_end],
        prompt=prompt.value,
        response=None if response is None else response.value,
        spans=LabelSpans(prompt.span, None if response is None or response.value is None else response.span),
    )


def _labels(completion: str, block: Span) -> list[_Label]:
    return [
        _Label(match[1].lower(), _LABEL_BY_WORD[match[2].lower()], match.span(2))
        for match in _LABEL.finditer(completion, *block)
    ]


def _result_blocks(completion: str, position: int) -> list[Span]:
    """Contents of the complete result blocks from `position`, the first block's start; [] if it is unclosed."""
    blocks: list[Span] = []
    while (start := completion.find(_RESULT, position)) >= 0:
        end = completion.find(_RESULT_END, start)
        if end < 0:
            break
        blocks.append((start + len(_RESULT), end))
        position = end + len(_RESULT_END)
    return blocks
