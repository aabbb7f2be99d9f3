"""Target completions: two to four short steps that quote the evidence and name the category.

A quote follows a colon, without quotation marks: its words are then the same tokens as in the text, which a small guard
can copy. The fixed phrases below are single tokens of the starter's tokenizer, so a completion takes about 30 tokens.
"""

from guardapp.guard.parsing import render
from guardapp.guard.taxonomy import CATEGORY_BY_CODE, Harmfulness
from guardapp.guard.verdict import Judgement, Verdict

REQUEST_SAYS, ASSISTANT_SAYS = "The request says:", "The assistant says:"
HARMFUL_REQUEST, UNHARMFUL_REQUEST = (
    ", so the request is harmful.",
    ", no category applies, so the request is unharmful.",
)
HARMFUL_RESPONSE, UNHARMFUL_RESPONSE = ", so the response is harmful.", ", so the response is unharmful."
THAT_IS, IT_IS_ABOUT = "That is", "It is about"
PHRASES = (
    "<think>\nStep 1:",
    *(f"\nStep {number}:" for number in range(2, 6)),
    "\n</think>\n<result>\nRequest:",
    "\nResponse:",
    "\n</result>",
    *(f" {start}" for start in (REQUEST_SAYS, ASSISTANT_SAYS, THAT_IS, IT_IS_ABOUT)),
    HARMFUL_REQUEST,
    UNHARMFUL_REQUEST,
    HARMFUL_RESPONSE,
    UNHARMFUL_RESPONSE,
)


def category(code: str) -> str:
    """For example "Hate (S10)"."""
    return f"{CATEGORY_BY_CODE[code].name} ({code})"


def prompt_steps(seen: str, code: str, subject: str) -> tuple[str, str]:
    """Steps for the evidence and its assessment. `code` is "" for an unharmful prompt."""
    if code:
        return seen, f"{THAT_IS} {category(code)}{HARMFUL_REQUEST}"
    return seen, f"{IT_IS_ABOUT} {subject}{UNHARMFUL_REQUEST}"


def response_steps(quoted: str, code: str, kind: str) -> tuple[str, str]:
    """Steps for the quoted response and its assessment. `kind` describes an unharmful response, e.g. "a refusal"."""
    ending = f"{category(code)}{HARMFUL_RESPONSE}" if code else f"{kind}{UNHARMFUL_RESPONSE}"
    return f"{ASSISTANT_SAYS} {quoted}", f"{THAT_IS} {ending}"


def completion(steps: tuple[str, ...], *, prompt: str, response: str | None) -> str:
    """Render the completion in the project's grammar."""
    verdict = Verdict(Harmfulness(prompt), Harmfulness(response) if response else None)
    return render(Judgement(steps, verdict), response_present=response is not None)
