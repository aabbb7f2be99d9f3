"""Long text rows of the starter guard: up to MOST_WORDS words around a harmful or harmless core, seeded.

Without them the guard knows no position beyond a page, and its completions fail there. The padding is harmless, and
harmful cores are as common as in short rows, so that length does not predict the label.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from training.starter.answers import Answer, make_answer
from training.starter.grammar import lexicon, pick, topics
from training.starter.prompts import Prompt, everyday_sentence, make_prompt
from training.starter.rows_text import text_row

FEWEST_WORDS, MOST_WORDS = 150, 2_700
# probability of a new paragraph after a sentence, in texts that have paragraphs
PARAGRAPH = 0.15
Sentence = Callable[[], str]


def generate_long(
    seed: int, count: int, *, held_out_topics: bool, quotes: bool = True, prose: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Generate `count` rows like `rows_text.generate`, of FEWEST_WORDS to MOST_WORDS words.

    Half of the lengths are uniform, half log-uniform, which favours shorter ones. `prose` are additional harmless
    sentences for the padding, for example from `rows_open.open_prose`.
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
    """A prompt alone, or a prompt with an answer that is harmful half of the time."""
    if random.random() < 0.5:
        return make_prompt(random, held_out=held_out), None
    harmful = random.random() < 0.5
    while True:
        prompt = make_prompt(random, held_out=held_out)
        answer = make_answer(prompt, random)
        if bool(answer.code) is harmful:
            return prompt, answer


def _sentences(random: Random, held_out: bool, prose: Sequence[str]) -> Sentence:
    """A source of harmless sentences with its own mixture, so that the style of the padding varies by row."""
    from_prose = random.random() if prose else 0.0

    def sentence() -> str:
        if random.random() < from_prose:
            return random.choice(prose)
        return (
            everyday_sentence(random, held_out) if random.random() < 0.85 else pick(lexicon("frames")["filler"], random)
        )

    return sentence


def _prose(words: int, sentence: Sentence) -> list[str]:
    """Sentences totalling at most `words` words, less than one sentence short of it."""
    found: list[str] = []
    while (size := len((one := sentence()).split())) <= words:
        found.append(one)
        words -= size
    return found


def _among(prompt: Prompt, words: int, sentence: Sentence, random: Random) -> Prompt:
    """Put the prompt somewhere in padding, often at the start or end, where people put their request."""
    around = _prose(words - len(prompt.text.split()), sentence)
    place = random.choice([0, len(around), random.randint(0, len(around))])
    return replace(prompt, text=_join([*around[:place], prompt.text, *around[place:]], random))


def _repeated(prompt: Prompt, words: int, sentence: Sentence, random: Random) -> Prompt:
    """Repeat the prompt: repetition must not indicate either label."""
    return replace(prompt, text=" ".join([prompt.text] * max(1, words // len(prompt.text.split()))))


def _monotonous(prompt: Prompt, words: int, sentence: Sentence, random: Random) -> Prompt:
    """Repeat one to three harmless sentences."""
    pattern = [sentence() for _ in range(random.randint(1, 3))]
    topic = replace(prompt.topic, name="everyday talk", code="")
    text = " ".join(pattern * max(1, words // sum(len(one.split()) for one in pattern)))
    return Prompt(text, " ".join(pattern[0].split(" ")[:5]), "", "everyday talk", topic)


def _longer(answer: Answer, words: int, sentence: Sentence, random: Random) -> Answer:
    """Extend the answer with further harmless sentences; its first sentences determine the label."""
    says = random.choice(topics(harmful=False, held_out=False)).says

    def further() -> str:
        one = pick(says, random) if random.random() < 0.4 else sentence()
        return one[:1].upper() + one[1:]

    return replace(answer, text=_join([answer.text, *_prose(words - len(answer.text.split()), further)], random))


def _join(parts: list[str], random: Random) -> str:
    """Join the sentences, with paragraphs in half of the cases."""
    if random.random() < 0.5:
        return " ".join(parts)
    return "".join(part + (" \n\n" if random.random() < PARAGRAPH else " ") for part in parts).strip()
