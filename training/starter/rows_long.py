"""Long text rows of the starter guard: up to MOST_WORDS words around a harmful or a harmless core. Same seed, same
rows.

Without them the guard knows no position beyond a page, and its completions break there. The words around the core are
harmless, and harmful cores are as common as in short rows, so that length alone says nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from training.starter.grammar import lexicon, pick, topics
from training.starter.rows_text import Answer, Prompt, everyday_sentence, make_answer, make_prompt, text_row

FEWEST_WORDS, MOST_WORDS = 150, 2_700
# share of sentences after which a new paragraph begins, in texts that have paragraphs
PARAGRAPH = 0.15
Sentence = Callable[[], str]


def generate_long(
    seed: int, count: int, *, held_out_topics: bool, quotes: bool = True, prose: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """`count` rows in the shape of `rows_text.generate`, of FEWEST_WORDS to MOST_WORDS words; half of the lengths are
    drawn evenly, half by their logarithm, which takes the shorter ones more often.

    `prose` are further harmless sentences for the padding, for example those of `rows_open.open_prose`.
    """
    for number in range(count):
        random = Random(f"long-{seed}-{number}-{held_out_topics}")
        words = _length(random)
        prompt, answer = _core(random, held_out_topics)
        sentence = _sentences(random, held_out_topics, prose)
        if answer is None:
            prompt = random.choices((_among, _repeated, _monotonous), (0.5, 0.2, 0.3))[0](
                prompt, words, sentence, random
            )
        elif random.random() < 0.25:
            share = random.randint(0, words)
            prompt, answer = _among(prompt, share, sentence, random), _longer(answer, words - share, sentence, random)
        else:
            answer = _longer(answer, words, sentence, random)
        yield text_row(
            f"starter/long/{'held-out' if held_out_topics else 'text'}/{seed}/{number}",
            prompt,
            answer,
            random,
            quotes=quotes,
            most_words=MOST_WORDS,
        )


def _length(random: Random) -> int:
    if random.random() < 0.5:
        return random.randint(FEWEST_WORDS, MOST_WORDS)
    return round(math.exp(random.uniform(math.log(FEWEST_WORDS), math.log(MOST_WORDS))))


def _core(random: Random, held_out: bool) -> tuple[Prompt, Answer | None]:
    """A prompt alone, or one with an answer that is harmful as often as not."""
    if random.random() < 0.5:
        return make_prompt(random, held_out=held_out), None
    harmful = random.random() < 0.5
    while True:
        prompt = make_prompt(random, held_out=held_out)
        answer = make_answer(prompt, random)
        if bool(answer.code) is harmful:
            return prompt, answer


def _sentences(random: Random, held_out: bool, prose: Sequence[str]) -> Sentence:
    """A source of harmless sentences with a mixture of its own: each row's padding has another tone."""
    from_prose = random.random() if prose else 0.0

    def sentence() -> str:
        if random.random() < from_prose:
            return random.choice(prose)
        return (
            everyday_sentence(random, held_out) if random.random() < 0.85 else pick(lexicon("frames")["filler"], random)
        )

    return sentence


def _prose(words: int, sentence: Sentence) -> list[str]:
    """Sentences of at most `words` words together, short of it by less than one sentence."""
    found: list[str] = []
    while (size := len((one := sentence()).split())) <= words:
        found.append(one)
        words -= size
    return found


def _among(prompt: Prompt, words: int, sentence: Sentence, random: Random) -> Prompt:
    """The prompt somewhere in padding, often at its start or its end, where people put what they want."""
    around = _prose(words - len(prompt.text.split()), sentence)
    place = random.choice([0, len(around), random.randint(0, len(around))])
    return replace(prompt, text=_join([*around[:place], prompt.text, *around[place:]], random))


def _repeated(prompt: Prompt, words: int, sentence: Sentence, random: Random) -> Prompt:
    """The prompt again and again: repetition is no sign of either label."""
    return replace(prompt, text=" ".join([prompt.text] * max(1, words // len(prompt.text.split()))))


def _monotonous(prompt: Prompt, words: int, sentence: Sentence, random: Random) -> Prompt:
    """One to three harmless sentences, over and over."""
    pattern = [sentence() for _ in range(random.randint(1, 3))]
    topic = replace(prompt.topic, name="everyday talk", code="")
    text = " ".join(pattern * max(1, words // sum(len(one.split()) for one in pattern)))
    return Prompt(text, " ".join(pattern[0].split(" ")[:5]), "", "everyday talk", topic)


def _longer(answer: Answer, words: int, sentence: Sentence, random: Random) -> Answer:
    """The answer, then more of what answers say: its label is that of its first sentences."""
    says = random.choice(topics(harmful=False, held_out=False)).says

    def further() -> str:
        one = pick(says, random) if random.random() < 0.4 else sentence()
        return one[:1].upper() + one[1:]

    return replace(answer, text=_join([answer.text, *_prose(words - len(answer.text.split()), further)], random))


def _join(parts: list[str], random: Random) -> str:
    """The sentences as one text, in half of the cases with paragraphs."""
    if random.random() < 0.5:
        return " ".join(parts)
    return "".join(part + (" \n\n" if random.random() < PARAGRAPH else " ") for part in parts).strip()
