"""Surface noise that preserves the number of words, so that a quoted span can still be located."""

import re
from random import Random

_LEET = str.maketrans({"a": "4", "e": "3", "i": "1", "o": "0", "s": "5"})
_EDGES = " \t\n\"'.,;:!?()[]*-"
_MARKS = re.compile(r"[\"\n<>|]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_NEGATIONS = frozenset({"no", "not", "never", "nobody", "without", "nor", "none"})
QUOTE_WORDS = 4
# the largest share of words that `thin` removes
THINNEST = 0.3


def perturb(text: str, random: Random) -> str:
    """Change case, drop punctuation, add typos and, rarely, disguised spelling.

    Words must be separated by single spaces.
    """
    draw = random.random()
    if draw < 0.45:
        return text
    if draw < 0.65:
        text = text.lower()
    elif draw < 0.69:
        text = text.upper()
    elif draw < 0.84:
        text = text[:1].upper() + text[1:]
    if random.random() < 0.25:
        text = text.rstrip(".!?") or text
    words = text.split(" ")
    if random.random() < 0.25:
        words = [_slip(word, random) if random.random() < 0.12 else word for word in words]
    if random.random() < 0.05 and len(words) < 20:
        words = [_disguise(word, random) if random.random() < 0.5 else word for word in words]
    return " ".join(words)


def _slip(word: str, random: Random) -> str:
    """Add one typo: two letters swapped, one lost or one doubled."""
    if len(word) < 4 or not word.isalpha():
        return word
    at = random.randrange(1, len(word) - 1)
    kind = random.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def _disguise(word: str, random: Random) -> str:
    if len(word) < 3 or not word.isalpha():
        return word
    return random.choice([word.translate(_LEET), ".".join(word), word[0] + "*" + word[2:], "-".join(word)])


def sentences(text: str) -> list[str]:
    """Split a text into sentences; a text without an end mark is one sentence."""
    return [sentence for part in _SENTENCE_END.split(text) if (sentence := part.strip())]


def thin(text: str, random: Random) -> str:
    """Remove up to THINNEST of the words and shuffle the sentences.

    Negations are kept, since a text without them means the opposite, and a text's only word is kept.
    """
    shuffled = sentences(text)
    random.shuffle(shuffled)
    share = random.uniform(0.05, THINNEST)
    words = " ".join(shuffled).split(" ")
    kept = [word for word in words if random.random() >= share or _negates(word)]
    return " ".join(kept or words)


def _negates(word: str) -> bool:
    bare = word.lower().strip(_EDGES)
    return bare in _NEGATIONS or bare.endswith(("n't", "n’t"))


def span_of(text: str, evidence: str) -> tuple[int, int]:
    """Word positions [start, end) of the evidence in the text.

    If it is not found, those of the last words of the first sentence.
    """
    before, found, _ = text.partition(evidence)
    if found and evidence.strip():
        start = before.count(" ")
        return start, start + evidence.count(" ") + 1
    words = re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0].split(" ")
    return max(0, len(words) - QUOTE_WORDS), len(words)


def quote(text: str, span: tuple[int, int]) -> str:
    """The words of a span, at most QUOTE_WORDS, cleaned for use as a quotation."""
    words = [word for word in text.split(" ")[span[0] : min(span[1], span[0] + QUOTE_WORDS)] if word]
    return _MARKS.sub(" ", " ".join(words)).strip(_EDGES) or "this text"
