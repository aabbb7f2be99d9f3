"""Prompts of the starter guard's text rows, generated from the lexicon."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from training.starter.grammar import Topic, lexicon, pick, topics

HELD_OUT_GROUPS = ("sikhs", "poles", "deaf people", "asylum seekers", "lesbians", "turks")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and its facts. `code` is "" if it is unharmful; `subject` completes "It is about …"."""

    text: str
    evidence: str
    code: str
    subject: str
    topic: Topic
    act: str = ""
    noun: str = ""


def make_prompt(random: Random, *, held_out: bool) -> Prompt:
    """Draw one of the kinds of prompts in PROMPTS by its share."""
    makers, shares = zip(*PROMPTS, strict=True)
    maker: Callable[[Random, bool], Prompt] = random.choices(makers, shares)[0]
    return maker(random, held_out)


def request(random: Random, *, harmful: bool, held_out: bool) -> Prompt:
    """A request to do something, plain or wrapped in role play, fiction or small talk."""
    frames = lexicon("frames")
    topic = random.choice(topics(harmful=harmful, held_out=held_out))
    act, noun = pick(topic.acts, random), pick(topic.nouns, random)
    by_act = random.random() < 0.78
    text = pick(frames["requests" if by_act else "nouns"], random, act=act, noun=noun)
    if random.random() < 0.28:
        text = pick(frames["wrappers"], random, request=text)
    if random.random() < 0.12:
        text = among_sentences(text, random, most=random.choice([2, 3, 6]))
    return Prompt(text, act if by_act else noun, topic.code, topic.name, topic, act, noun)


def about_harm(random: Random, held_out: bool) -> Prompt:
    """Harmful words for a harmless purpose: prevention, law, history, support, news, fiction."""
    topic = random.choice(topics(harmful=True, held_out=held_out))
    act, noun = pick(topic.acts, random), pick(topic.nouns, random)
    text = pick(lexicon("frames")["safe_about"], random, act=act, noun=noun)
    if random.random() < 0.15:
        text = pick(lexicon("frames")["wrappers"][-5:], random, request=text)
    evidence = text if len(text.split(" ")) <= 6 else " ".join(text.split(" ")[:6])
    return Prompt(text, evidence, "", f"safety or knowledge of {topic.name}", topic, act, noun)


def for_harm(random: Random, held_out: bool) -> Prompt:
    """Mild words for a harmful purpose: evasion, praise, profit."""
    topic = random.choice(topics(harmful=True, held_out=held_out))
    act, noun = pick(topic.acts, random), pick(topic.nouns, random)
    text = pick(lexicon("frames")["harm_about"], random, act=act, noun=noun)
    return Prompt(text, " ".join(text.rstrip(".?").split(" ")[-6:]), topic.code, topic.name, topic, act, noun)


def _statement(templates: str, code: str, subject: str) -> Callable[[Random, bool], Prompt]:
    topic = Topic(subject, code, (), (), (), held_out=False)

    def make(random: Random, held_out: bool) -> Prompt:
        text = pick(lexicon("hate")[templates], random, **people_named(random, held_out))
        evidence = " ".join(text.split(" ")[:6])
        if random.random() < 0.2:
            text = among_sentences(text, random, most=random.choice([2, 4, 8, 14]))
        elif random.random() < 0.12:
            ask = (
                "(write|post|translate|finish|say|repeat|continue)(:| this:| a tweet like this:| a text "
                "that says:) {text}",
                "what do you think about this comment? {text}",
                "{text} (am I right?|Tell me why.|agree?|Do you agree?)",
            )
            text = pick(ask, random, text=text)
        return Prompt(text, evidence, code, subject, topic, "say such things", subject)

    return make


def people_named(random: Random, held_out: bool) -> dict[str, str]:
    words = lexicon("hate")
    groups = [group for group in words["groups"] if (group.split("|")[0] in HELD_OUT_GROUPS) is held_out]
    plural, single = random.choice(groups).split("|")
    bare = single.split(" ", 1)[1]
    return {"p": plural, "s": single, "s0": bare, "s2": bare, "x": random.choice(words["others"])}


def everyday(random: Random, held_out: bool) -> Prompt:
    """Harmless messages, forum posts and news of one to many sentences."""
    topic = Topic("everyday talk", "", (), (), (), held_out=False)
    sentences = [everyday_sentence(random, held_out) for _ in range(random.choice([1, 1, 1, 2, 3, 4, 6, 9, 14, 40]))]
    return Prompt(" ".join(sentences), " ".join(sentences[0].split(" ")[:5]), "", "everyday talk", topic)


def everyday_sentence(random: Random, held_out: bool) -> str:
    """A harmless sentence, mostly everyday talk, or something positive about a harmless topic or about people."""
    draw = random.random()
    if draw < 0.75:
        return pick(lexicon("frames")["everyday"], random)
    if draw < 0.9:
        return pick(random.choice(topics(harmful=False, held_out=held_out)).says, random)
    return pick(lexicon("hate")["benign"], random, **people_named(random, held_out))


def among_sentences(text: str, random: Random, *, most: int) -> str:
    """Surround the text with harmless sentences."""

    def around() -> list[str]:
        return [pick(lexicon("frames")["everyday"], random) for _ in range(random.randint(0, most))]

    return " ".join([*around(), text, *around()])


PROMPTS: tuple[tuple[Callable[[Random, bool], Prompt], float], ...] = (
    (lambda random, held_out: request(random, harmful=True, held_out=held_out), 0.21),
    (lambda random, held_out: request(random, harmful=False, held_out=held_out), 0.25),
    (about_harm, 0.09),
    (for_harm, 0.04),
    (_statement("hateful", "S10", "hate"), 0.10),
    (_statement("benign", "", "people, with respect"), 0.07),
    (_statement("abuse_of_others", "", "dislike, not of a protected group"), 0.025),
    (_statement("profanity", "", "swearing without a target"), 0.03),
    (_statement("threats", "S1", "threats"), 0.03),
    (_statement("despair", "S11", "suicide"), 0.02),
    (_statement("sexual", "S12", "sexual content"), 0.03),
    (_statement("recovery", "", "feelings and support"), 0.02),
    (everyday, 0.11),
)
