"""User message → prompt, response and media placeholders: the inverse of `prompting`, for rows that others have
published.
"""

import re
from dataclasses import dataclass

from guardapp.guard.prompting import OMNI_2B_4B_INSTRUCTION
from guardapp.guard.taxonomy import MediaKind

NO_RESPONSE = "None"
_ROLE_LINE = re.compile(r"\s*human user:[ \t]*\n", re.IGNORECASE | re.ASCII)
_RESPONSE_LINE = re.compile(r"\n\n[ \t]*AI assistant:[ \t]*\n", re.IGNORECASE | re.ASCII)
_PLACEHOLDER = re.compile(r"<(image|video)>")


class NotAnInputBlock(ValueError):
    """The user message is not of the published form; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class InputBlock:
    """What a published user message holds. `response` None: the row says None."""

    prompt: str
    response: str | None
    media: tuple[MediaKind, ...] = ()


def read_input_block(text: str, media: int) -> InputBlock:
    r"""Read `Human user:\n<image>{prompt}\n\nAI assistant:\n{response}\n`; `media` is how many media the row has.

    Taken as well: `Human User:` (the 181k release), blank lines after the response, none at all. The response starts
    after the first `AI assistant:` line, but where the message ends in None after the last one, there is no response.
    As many placeholders as there are media are read right after the role line; where they stand elsewhere, all of them
    together must be as many, and they are moved to the front. Further ones are the person's own words.

    Raises NotAnInputBlock.
    """
    role = _ROLE_LINE.match(text)
    if role is None:
        raise NotAnInputBlock("does not begin with a line 'Human user:'.")
    marks = list(_RESPONSE_LINE.finditer(text, role.end() - 1))
    if not marks:
        raise NotAnInputBlock("has no line 'AI assistant:' after an empty line.")
    mark = marks[-1] if text[marks[-1].end() :].strip() == NO_RESPONSE else marks[0]
    said = text[mark.end() :].rstrip("\n")
    prompt, kinds = _media(text[role.end() : max(role.end(), mark.start())], media)
    return InputBlock(prompt, None if said.strip() == NO_RESPONSE else said, kinds)


def is_published_instruction(text: str) -> bool:
    """Whether a system message is the one that the guard is asked with, blank lines at its end aside."""
    return text.rstrip() == OMNI_2B_4B_INSTRUCTION.rstrip()


def _media(text: str, count: int) -> tuple[str, tuple[MediaKind, ...]]:
    kinds: list[MediaKind] = []
    rest = text
    while len(kinds) < count and (match := _PLACEHOLDER.match(rest)):
        kinds.append(MediaKind(match[1]))
        rest = rest[match.end() :]
    if len(kinds) == count:
        return rest, tuple(kinds)
    everywhere = [MediaKind(match[1]) for match in _PLACEHOLDER.finditer(text)]
    if len(everywhere) != count:
        raise NotAnInputBlock(f"has {len(everywhere)} placeholders <image> or <video>, the row has {count} media.")
    return _PLACEHOLDER.sub("", text), tuple(everywhere)
