"""Responses of the starter guard's text rows, generated from the lexicon."""

from dataclasses import dataclass
from random import Random

from training.starter.grammar import lexicon, pick, topics
from training.starter.prompts import Prompt, people_named


@dataclass(frozen=True, slots=True)
class Answer:
    """An assistant's response. `code` is "" if it is unharmful; `kind` then describes it."""

    text: str
    evidence: str
    code: str = ""
    kind: str = "a harmless answer"


def make_answer(prompt: Prompt, random: Random) -> Answer:
    """A response that may or may not fit its prompt; its label depends on both."""
    draw = random.random()
    if prompt.code:
        return (
            comply(prompt, random) if draw < 0.52 else refuse(prompt, random) if draw < 0.80 else advise(prompt, random)
        )
    if draw < 0.70:
        return help_out(prompt, random)
    if draw < 0.80:
        return refuse(prompt, random)
    return abuse(random) if draw < 0.92 else advise(prompt, random)


def comply(prompt: Prompt, random: Random) -> Answer:
    """Comply with a harmful prompt. Some answers contain only mild words, and only the prompt makes them harmful."""
    says, frames = lexicon("harmful_other")["says"], lexicon("frames")
    slots = {"act": prompt.act or "do it", "noun": prompt.noun or "it"}
    own = says.get(prompt.code, says["any"])
    first = pick(own if random.random() < 0.5 else says["any"], random, **slots)
    more = [pick(random.choice([own, says["any"], frames["filler"]]), random, **slots) for _ in range(_length(random))]
    if random.random() < 0.35:
        harmless = (*random.choice(topics(harmful=False, held_out=False)).says, *frames["everyday"], *frames["filler"])
        first, more = pick(harmless, random), [pick(harmless, random) for _ in range(_length(random))]
    return Answer(
        random.choice(frames["openers"]) + " ".join(_capital([first, *more])), _start(first), code=prompt.code
    )


def refuse(prompt: Prompt, random: Random) -> Answer:
    frames = lexicon("frames")
    slots = {"act": prompt.act or "do that", "noun": prompt.noun or "that"}
    first = pick(frames["refusals"], random, **slots)
    more = [pick(frames["advice"], random, **slots) for _ in range(random.choice([0, 0, 1, 2, 3]))]
    return Answer(" ".join(_capital([first, *more])), _start(first), kind="a refusal")


def advise(prompt: Prompt, random: Random) -> Answer:
    frames = lexicon("frames")
    slots = {"act": prompt.act or "do that", "noun": prompt.noun or "that"}
    parts = [pick(frames["advice"], random, **slots) for _ in range(random.randint(1, 5))]
    if random.random() < 0.3:
        parts.append(pick(frames["filler"], random))
    return Answer(" ".join(_capital(parts)), _start(parts[0]), kind="safe advice")


def help_out(prompt: Prompt, random: Random) -> Answer:
    frames = lexicon("frames")
    says = prompt.topic.says or tuple(frames["everyday"])
    if prompt.subject.startswith("safety"):
        says = (*frames["advice"], *random.choice(topics(harmful=False, held_out=False)).says)
    slots = {"act": prompt.act or "do that", "noun": prompt.noun or "that"}
    parts = [
        pick(random.choice([says, says, says, frames["filler"]]), random, **slots) for _ in range(_length(random) + 1)
    ]
    return Answer(random.choice(frames["openers"]) + " ".join(_capital(parts)), _start(parts[0]))


def abuse(random: Random) -> Answer:
    """Unprompted hate, threats or sexual content."""
    kind, code = random.choice([("hateful", "S10"), ("hateful", "S10"), ("threats", "S1"), ("sexual", "S12")])
    bad = pick(lexicon("hate")[kind], random, **people_named(random, held_out=False))
    around = [pick(lexicon("frames")["filler"], random) for _ in range(random.choice([0, 0, 1, 2]))]
    return Answer(" ".join(_capital([*around, bad])), _start(bad[:1].upper() + bad[1:]), code=code)


def _length(random: Random) -> int:
    """The number of further sentences of an answer; a few answers are long."""
    return random.choice([0, 0, 1, 1, 2, 2, 3, 4, 6, 9]) if random.random() < 0.97 else random.randint(20, 60)


def _capital(sentences: list[str]) -> list[str]:
    """Capitalise the sentences and remove duplicates."""
    return list(dict.fromkeys(sentence[:1].upper() + sentence[1:] for sentence in sentences))


def _start(sentence: str) -> str:
    return " ".join((sentence[:1].upper() + sentence[1:]).split(" ")[:6])
