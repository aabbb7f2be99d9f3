"""Rows assembled from pieces of earlier training rows: sentences taken out of their context and put among others.

The guard learns frames before words: it judges harm in an unknown frame as harmless, and ordinary prose as a harmless
response. A piece among unrelated pieces leaves only its words to learn from, and the same prose occurs as a harmless
and as a harmful response: the request makes the difference. Determined by seed and rows; imports neither torch nor
transformers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from training.starter.answers import Answer
from training.starter.grammar import Topic
from training.starter.perturb import sentences
from training.starter.prompts import Prompt
from training.starter.rows_text import text_row

# Numbers of pieces besides the harmful ones, or in all; drawn uniformly.
PIECES = (1, 1, 2, 2, 3, 4, 6, 9, 15)
MOST_PIECE_WORDS = 20
WITH_RESPONSE = 0.45  # share of the rows
# Minimum probability of the label, by the baseline, for keeping a mixed prompt: not all pieces of harmful rows are
# harmful.
SURE = 0.55


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    code: str  # category of the row that it comes from; "" if that is unharmful


@dataclass(frozen=True, slots=True)
class Pool:
    """Pieces by origin."""

    harmless: Sequence[Piece]  # of unharmful prompts
    harmful: Sequence[Piece]  # of harmful prompts
    prompts: Sequence[Piece]  # whole unharmful prompts
    requests: Sequence[Piece]  # whole harmful prompts
    prose: Sequence[Piece]  # of unharmful responses to unharmful prompts
    declining: Sequence[Piece]  # of unharmful responses to harmful prompts
    complying: Sequence[Piece]  # of harmful responses


def mixed_rows(rows: Sequence[dict[str, Any]], count: int, seed: int, *, quotes: bool) -> Iterator[dict[str, Any]]:
    """Generate `count` rows like `rows_text.generate` from rows of earlier stages (snapshot lines).

    Rows without a response come first. About half of the prompts and half of the responses are harmful. Prompts of
    media rows are among the pieces, although their label may be due to the image: a source of noise, in the shipped
    weights too.
    """
    found = pool(rows)
    prompts = list(_prompts(found, rows, count - round(count * WITH_RESPONSE), seed))
    for number in range(count):
        random = Random(f"mixed-{seed}-{number}")
        prompt, answer = (prompts[number], None) if number < len(prompts) else _exchange(found, random)
        yield text_row(f"starter/mixed/{seed}/{number}", prompt, answer, random, quotes=quotes)


def pool(rows: Sequence[dict[str, Any]]) -> Pool:
    """The distinct pieces of snapshot lines."""
    kinds: dict[str, dict[str, Piece]] = {name: {} for name in Pool.__slots__}
    for row in rows:
        asks, complies = (row["labels"][task] == "harmful" for task in ("prompt", "response"))
        code = next(iter(row["categories"]), "S2")
        asked, answered = code if asks else "", code if complies else ""
        kinds["requests" if asks else "prompts"][row["prompt"]] = Piece(row["prompt"], asked)
        for text in _pieces(row["prompt"]):
            kinds["harmful" if asks else "harmless"][text] = Piece(text, asked)
        for text in _pieces(row["response"] or ""):
            kinds["complying" if complies else "declining" if asks else "prose"][text] = Piece(text, answered)
    return Pool(**{name: tuple(pieces.values()) for name, pieces in kinds.items()})


def _pieces(text: str) -> Iterator[str]:
    for sentence in sentences(text):
        words = sentence.split()
        for start in range(0, len(words), MOST_PIECE_WORDS):
            yield " ".join(words[start : start + MOST_PIECE_WORDS])


def _prompts(found: Pool, rows: Sequence[dict[str, Any]], count: int, seed: int) -> Iterator[Prompt]:
    """Prompts, half of them with one or two harmful pieces; those that the baseline does not confirm are redrawn."""
    # scikit-learn takes a while to load
    from training.starter.baseline import Teacher

    teacher = Teacher(rows, "prompt", seed)
    for harmful in (True, False):
        random, wanted = Random(f"mixed-prompts-{seed}-{harmful}"), count // 2 if harmful else count - count // 2
        while wanted:
            drawn = [_prompt(found, random, harmful=harmful) for _ in range(2 * wanted)]
            shares = teacher.harmful([prompt.text for prompt in drawn])
            borne_out = [
                prompt for prompt, share in zip(drawn, shares, strict=True) if (share if harmful else 1 - share) >= SURE
            ][:wanted]
            wanted -= len(borne_out)
            yield from borne_out


def _prompt(found: Pool, random: Random, *, harmful: bool) -> Prompt:
    harmless = random.choices(found.harmless, k=random.choice(PIECES) - (harmful and random.random() < 0.3))
    heavy = random.choices(found.harmful, k=random.choice((1, 1, 2))) if harmful else []
    evidence, pieces = random.choice(heavy or harmless), [*harmless, *heavy]
    random.shuffle(pieces)
    return _said(pieces, evidence)


def _exchange(found: Pool, random: Random) -> tuple[Prompt, Answer]:
    """A request and an answer whose label depends on both."""
    count = random.choice(PIECES)
    if random.random() < 0.6:
        prompt = _said_alone(random.choice(found.requests))
        if random.random() < 0.5:
            pieces = [random.choice(found.prose if random.random() < 0.65 else found.complying) for _ in range(count)]
            return prompt, _answer(pieces, prompt.code)
        pieces = random.choices(found.declining, k=1 + count // 3)
        more = random.choices(found.prose, k=random.choice((0, 0, 0, 1, 3)))
        return prompt, _answer([*pieces, *more], "", random.choice(("a refusal", "safe advice")))
    prompt = (
        _said_alone(random.choice(found.prompts)) if random.random() < 0.7 else _prompt(found, random, harmful=False)
    )
    pieces = random.choices(found.prose, k=count)
    if random.random() < 0.65:
        return prompt, _answer(pieces, "")
    heavy = random.choice(found.harmful)
    at = random.randint(0, len(pieces))
    return prompt, Answer(_join([*pieces[:at], heavy, *pieces[at:]]), _start(heavy.text), heavy.code)


def _said_alone(piece: Piece) -> Prompt:
    return _said([piece], piece)


def _said(pieces: Sequence[Piece], evidence: Piece) -> Prompt:
    subject = "harm" if evidence.code else "everyday talk"
    return Prompt(
        _join(pieces),
        _start(evidence.text),
        evidence.code,
        subject,
        Topic(subject, evidence.code, (), (), (), held_out=False),
    )


def _answer(pieces: Sequence[Piece], code: str, kind: str = "a harmless answer") -> Answer:
    return Answer(_join(pieces), _start(pieces[0].text), code, kind)


def _join(pieces: Sequence[Piece]) -> str:
    return " ".join(piece.text for piece in pieces)


def _start(text: str) -> str:
    return " ".join(text.split(" ")[:5])
