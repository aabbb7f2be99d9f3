"""P(harmful) of a label, from the top tokens that a server returns for each position of a completion."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardapp.guard.label_scores import LabelScores
from guardapp.guard.parsing import Span, label_positions
from guardapp.guard.taxonomy import Harmfulness


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """One token of a completion: its bytes, and the log probabilities of the top tokens at its position."""

    data: bytes
    likely: Mapping[str, float]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "WrittenToken":
        likely = {str(one["token"]): float(one["logprob"]) for one in (*row.get("top_logprobs", ()), row)}
        return cls(bytes(row["bytes"]) if row.get("bytes") is not None else str(row["token"]).encode(), likely)


def label_scores(completion: str, written_from: int, tokens: Sequence[WrittenToken]) -> LabelScores:
    """Score the labels of a completion. `tokens` start at the character `written_from`.

    A label before that position was not the guard's choice and has no score.
    """
    spans = label_positions(completion)
    return LabelScores(*(_score(completion, span, written_from, tokens) for span in (spans.prompt, spans.response)))


def _score(completion: str, span: Span | None, written_from: int, tokens: Sequence[WrittenToken]) -> float | None:
    if span is None or span[0] < written_from:
        return None
    token = _from_the_end(completion, span[0], tokens) or _from_the_start(completion[written_from : span[0]], tokens)
    return None if token is None else _share_of_harmful(token.likely)


def _from_the_end(completion: str, place: int, tokens: Sequence[WrittenToken]) -> WrittenToken | None:
    """Find the token that contains the character at `place`, counting from the end of the text.

    Servers report each token of a multi-token character (such as an emoji) as U+FFFD. Counting from the end is not
    affected by such characters before `place`. Returns None if the tokens do not match the end of the text.
    """
    end, in_text = len(completion), False
    for token in reversed(tokens):
        text = token.data.decode(errors="replace")
        if completion.endswith(text, 0, end):
            in_text, end = True, end - len(text)
            if end <= place:
                return token
        # tokens after the text, such as an end token, are skipped
        elif in_text:
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
    """The share of harmful among the tokens that begin either label; None if neither is present."""
    mass = {
        label: sum(math.exp(logprob) for token, logprob in likely.items() if _begins(token, label))
        for label in Harmfulness
    }
    both = sum(mass.values())
    return mass[Harmfulness.HARMFUL] / both if both > 0 else None


def _begins(token: str, label: Harmfulness) -> bool:
    text = token.strip().lower()
    return bool(text) and (label.value.startswith(text) or text.startswith(label.value))
