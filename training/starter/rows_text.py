"""Text rows of the starter guard, generated from the lexicon and a seed. Imports neither torch nor transformers.

Harmful and harmless rows share their frames and many of their words, so that neither a word nor a frame alone decides
the label: "how can I kill a process", "how do shops prevent shoplifting", "I hate mosquitoes", "nobody should hurt
{group}".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from training.starter.grammar import Topic, lexicon, pick, topics
from training.starter.perturb import perturb, quote, span_of
from training.starter.reasoning import REQUEST_SAYS, completion, prompt_steps, response_steps

HELD_OUT_GROUPS = ("sikhs", "poles", "deaf people", "asylum seekers", "lesbians", "turks")
# limit for a prompt or response in a generated row
MOST_WORDS = 700


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


@dataclass(frozen=True, slots=True)
class Answer:
    """An assistant's response. `code` is "" if it is unharmful; `kind` then describes it."""

    text: str
    evidence: str
    code: str = ""
    kind: str = "a harmless answer"


def generate(seed: int, count: int, *, held_out_topics: bool, quotes: bool = True) -> Iterator[dict[str, Any]]:
    """Generate `count` rows with the keys listed in `text_row`.

    `held_out_topics` uses only the topics (and groups of people) that occur in no training row. Without `quotes`, the
    completions omit the steps that quote, leaving only the judgements.
    """
    for number in range(count):
        random = Random(f"text-{seed}-{number}-{held_out_topics}")
        prompt = make_prompt(random, held_out=held_out_topics)
        answer = make_answer(prompt, random) if random.random() < 0.42 else None
        yield text_row(
            f"starter/{'held-out' if held_out_topics else 'text'}/{seed}/{number}",
            prompt,
            answer,
            random,
            quotes=quotes,
        )


def text_row(
    identifier: str,
    prompt: Prompt,
    answer: Answer | None,
    random: Random,
    *,
    quotes: bool = True,
    most_words: int = MOST_WORDS,
) -> dict[str, Any]:
    """Make a row with its target completion; surface noise is added to the texts and carried over to the quotes.

    Only the first `most_words` words of the prompt and of the response are kept. Keys: "id", "prompt", "response",
    "prompt_label", "response_label", "categories", "topic", "completion".
    """
    text, quoted = _with_noise(prompt.text, prompt.evidence, random, most_words)
    steps: tuple[str, ...] = prompt_steps(f"{REQUEST_SAYS} {quoted}", prompt.code, prompt.subject)
    response = None
    if answer is not None:
        response, said = _with_noise(answer.text, answer.evidence, random, most_words)
        steps = (*steps, *response_steps(said, answer.code, answer.kind))
    if not quotes:
        steps = steps[1::2]
    prompt_label = "harmful" if prompt.code else "unharmful"
    response_label = None if answer is None else "harmful" if answer.code else "unharmful"
    codes = [code for code in (prompt.code, answer.code if answer else "") if code]
    return {
        "id": identifier,
        "prompt": text,
        "response": response,
        "prompt_label": prompt_label,
        "response_label": response_label,
        "categories": list(dict.fromkeys(codes)),
        "topic": prompt.topic.name,
        "completion": completion(steps, prompt=prompt_label, response=response_label),
    }


def _with_noise(text: str, evidence: str, random: Random, most_words: int) -> tuple[str, str]:
    words = text.split(" ")
    if len(words) > most_words:
        text = " ".join(words[:most_words])
    span = span_of(text, evidence)
    noisy = perturb(text, random)
    return noisy, quote(noisy, span)


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
        text = pick(lexicon("hate")[templates], random, **_people(random, held_out))
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


def _people(random: Random, held_out: bool) -> dict[str, str]:
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
    return pick(lexicon("hate")["benign"], random, **_people(random, held_out))


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
    bad = pick(lexicon("hate")[kind], random, **_people(random, held_out=False))
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
