"""P(harmful) of a label from the likeliest tokens that a server tells at each place of a completion."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardapp.guard.label_scores import LabelScores
from guardapp.guard.parsing import Span, label_positions
from guardapp.guard.taxonomy import Harmfulness


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """One token of a completion: its bytes, and the log probabilities of the likeliest tokens in its place, itself
    among them.
    """

    data: bytes
    likely: Mapping[str, float]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "WrittenToken":
        likely = {str(one["token"]): float(one["logprob"]) for one in (*row.get("top_logprobs", ()), row)}
        return cls(bytes(row["bytes"]) if row.get("bytes") is not None else str(row["token"]).encode(), likely)


def label_scores(completion: str, written_from: int, tokens: Sequence[WrittenToken]) -> LabelScores:
    """`tokens` are those of the completion from the character `written_from` on; a label before it was not the guard's
    choice.
    """
    spans = label_positions(completion)
    return LabelScores(*(_score(completion, span, written_from, tokens) for span in (spans.prompt, spans.response)))


def _score(completion: str, span: Span | None, written_from: int, tokens: Sequence[WrittenToken]) -> float | None:
    if span is None or span[0] < written_from:
        return None
    token = _from_the_end(completion, span[0], tokens) or _from_the_start(completion[written_from : span[0]], tokens)
    return None if token is None else _share_of_harmful(token.likely)


def _from_the_end(completion: str, place: int, tokens: Sequence[WrittenToken]) -> WrittenToken | None:
    """The token that holds the character at `place`, counted from the end: a character of several tokens (an emoji)
    that stands before it cannot mislead, as it does from the start, where a server names each of its tokens U+FFFD.
    None where the tokens do not end the text."""
    end, in_text = len(completion), False
    for token in reversed(tokens):
        text = token.data.decode(errors="replace")
        if completion.endswith(text, 0, end):
            in_text, end = True, end - len(text)
            if end <= place:
                return token
        elif in_text:  # what comes after the text, such as an end token, may be passed over
            return None
    return None


def _from_the_start(before: str, tokens: Sequence[WrittenToken]) -> WrittenToken | None:
    bytes_before, position = len(before.encode()), 0
    for token in tokens:
        position += len(token.data)
        if position > bytes_before:
            return token
    return None


def _share_of_harmful(likely: Mapping[str, float]) -> float | None:
    """Of the tokens that begin either label. None where the place tells neither."""
    mass = {
        label: sum(math.exp(logprob) for token, logprob in likely.items() if _begins(token, label))
        for label in Harmfulness
    }
    both = sum(mass.values())
    return mass[Harmfulness.HARMFUL] / both if both > 0 else None


def _begins(token: str, label: Harmfulness) -> bool:
    text = token.strip().lower()
    return bool(text) and (label.value.startswith(text) or text.startswith(label.value))
