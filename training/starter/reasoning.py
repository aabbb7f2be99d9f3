"""The target completions: two to three short steps that quote the evidence and name the category."""

from guardapp.guard.parsing import render
from guardapp.guard.taxonomy import CATEGORY_BY_CODE, Harmfulness
from guardapp.guard.verdict import Judgement, Verdict

NO_RESPONSE = "There is no response."


def category(code: str) -> str:
    """For example "Hate (S10)"."""
    return f"{CATEGORY_BY_CODE[code].name} ({code})"


def prompt_steps(seen: str, code: str, subject: str) -> tuple[str, str]:
    """What is seen (a whole sentence), then what it amounts to. `code` is "" for an unharmful prompt."""
    if code:
        return seen, f"That is {category(code)}, so the request is harmful."
    return seen, f"It is about {subject}, no category applies, so the request is unharmful."


def response_step(quoted: str, code: str, kind: str) -> str:
    """`kind` says what an unharmful response does: "a refusal", "safe advice", "a harmless answer"."""
    if code:
        return f"The assistant says \"{quoted}\". That is {category(code)}, so the response is harmful."
    return f"The assistant says \"{quoted}\". It is {kind}, so the response is unharmful."


def completion(steps: tuple[str, ...], *, prompt: str, response: str | None) -> str:
    """The whole completion, in the project's own grammar."""
    verdict = Verdict(Harmfulness(prompt), Harmfulness(response) if response else None)
    return render(Judgement(steps, verdict), response_present=response is not None)
