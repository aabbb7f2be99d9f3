"""User message → prompt, response and media placeholders: the inverse of `prompting`, for published rows."""

import re
from dataclasses import dataclass

from guardapp.guard.prompting import OMNI_2B_4B_INSTRUCTION
from guardapp.guard.taxonomy import MediaKind

NO_RESPONSE = "None"
_ROLE_LINE = re.compile(r"\s*human user:[ \t]*\n", re.IGNORECASE | re.ASCII)
_RESPONSE_LINE = re.compile(r"\n\n[ \t]*AI assistant:[ \t]*\n", re.IGNORECASE | re.ASCII)
_PLACEHOLDER = re.compile(r"<(image|video)>")


class NotAnInputBlock(ValueError):
    """The user message does not follow the published layout; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class InputBlock:
    """The parts of a published user message. `response` is None if the row says "None"."""

    prompt: str
    response: str | None
    media: tuple[MediaKind, ...] = ()


def read_input_block(text: str, media: int) -> InputBlock:
    r"""Read `Human user:\n<image>{prompt}\n\nAI assistant:\n{response}\n`; `media` is the row's number of media.

    Also accepted: `Human User:` (the 181k release), and blank lines or no line break after the response. The response
    starts after the first `AI assistant:` line. If the text after the last such line is None, there is no response.

    Exactly `media` placeholders are read right after the role line. If they are elsewhere, the whole text must contain
    exactly that many, and they are moved to the front. Further ones are part of the person's text.

    Raises NotAnInputBlock.
    """
    role = _ROLE_LINE.match(text)
    if role is None:
        raise NotAnInputBlock("does not begin with a line 'Human user:'.")
    marks = list(_RESPONSE_LINE.finditer(text, role.end() - 1))
    if not marks:
        raise NotAnInputBlock("has no line 'AI assistant:' after an empty line.")
    mark = marks[-1] if text[marks[-1].end() :].strip() == NO_RESPONSE else marks[0]
    response = text[mark.end() :].rstrip("\n")
    prompt, kinds = _media(text[role.end() : max(role.end(), mark.start())], media)
    return InputBlock(prompt, None if response.strip() == NO_RESPONSE else response, kinds)


def is_published_instruction(text: str) -> bool:
    """Whether a system message is the instruction of the guard, ignoring trailing blank lines."""
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
