"""Text rows of the starter guard, generated from the lexicon and a seed. Imports neither torch nor transformers.

Harmful and harmless rows share their frames and many of their words, so that neither a word nor a frame alone decides
the label: "how can I kill a process", "how do shops prevent shoplifting", "I hate mosquitoes", "nobody should hurt
{group}".
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from training.starter.answers import Answer, make_answer
from training.starter.perturb import perturb, quote, span_of
from training.starter.prompts import Prompt, make_prompt
from training.starter.reasoning import REQUEST_SAYS, completion, prompt_steps, response_steps

# limit for a prompt or response in a generated row
MOST_WORDS = 700


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
        response, quoted_answer = _with_noise(answer.text, answer.evidence, random, most_words)
        steps = (*steps, *response_steps(quoted_answer, answer.code, answer.kind))
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
