"""User message → prompt, response and media placeholders: the inverse of `prompting`, for published rows."""

import re
from dataclasses import dataclass

from guardapp.guard.prompting import CONTEXT_LINE, LINE_END, OMNI_2B_4B_INSTRUCTION, QUOTED
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import ContextMessage

NO_RESPONSE = "None"
_ROLE_LINE = re.compile(r"\s*human user:[ \t]*\n", re.IGNORECASE | re.ASCII)
_RESPONSE_LINE = re.compile(r"\n\n[ \t]*AI assistant:[ \t]*\n", re.IGNORECASE | re.ASCII)
_ROLE = re.compile(r"\[(system|user|assistant|tool)\]\n")
_MEDIA_LINE = re.compile(r"(?:<(?:image|video)>)+\n")
_QUOTED_LINE = re.compile(f"{QUOTED}[^\n]*\n")
_MARK = re.compile(f"({LINE_END.pattern}){QUOTED}")
_PLACEHOLDER = re.compile(r"<(image|video)>")


class NotAnInputBlock(ValueError):
    """The user message does not follow the published layout; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class InputBlock:
    """The parts of a published user message. `response` is None if the row says "None".

    The first media are those of the context.
    """

    prompt: str
    response: str | None
    media: tuple[MediaKind, ...] = ()
    context: tuple[ContextMessage, ...] = ()


def read_input_block(text: str, media: int) -> InputBlock:
    r"""Read `Human user:\n<image>{prompt}\n\nAI assistant:\n{response}\n`; `media` is the row's number of media.

    Also accepted: `Human User:` (the 181k release), and blank lines or no line break after the response. The response
    starts after the first `AI assistant:` line. If the text after the last such line is None, there is no response.

    Exactly `media` placeholders are read right after the role line. If they are elsewhere, the whole text must contain
    exactly that many, and they are moved to the front. Further ones are part of the person's text.

    A context block of ours may stand before it.

    Raises NotAnInputBlock.
    """
    context, earlier, begins = _context(text)
    text = text[begins:]
    media -= len(earlier)
    role = _ROLE_LINE.match(text)
    if role is None:
        raise NotAnInputBlock("does not begin with a line 'Human user:'.")
    marks = list(_RESPONSE_LINE.finditer(text, role.end() - 1))
    if not marks:
        raise NotAnInputBlock("has no line 'AI assistant:' after an empty line.")
    mark = marks[-1] if text[marks[-1].end() :].strip() == NO_RESPONSE else marks[0]
    response = text[mark.end() :].rstrip("\n")
    prompt, kinds = _media(text[role.end() : max(role.end(), mark.start())], media)
    return InputBlock(prompt, None if response.strip() == NO_RESPONSE else response, (*earlier, *kinds), context)


def _context(text: str) -> tuple[tuple[ContextMessage, ...], list[MediaKind], int]:
    """The messages of the context block, their media, and where the block ends; nothing if there is no block."""
    if not text.startswith(CONTEXT_LINE):
        return (), [], 0
    at = len(CONTEXT_LINE)
    messages: list[ContextMessage] = []
    media: list[MediaKind] = []
    while role := _ROLE.match(text, at):
        at = role.end()
        own: list[MediaKind] = []
        if line := _MEDIA_LINE.match(text, at):
            own, at = [MediaKind(kind) for kind in _PLACEHOLDER.findall(line[0])], line.end()
        begins = at
        while line := _QUOTED_LINE.match(text, at):
            at = line.end()
        messages.append(ContextMessage(role[1], _MARK.sub(r"\1", text[begins:at])[len(QUOTED) : -1], len(own)))
        media += own
    if not messages or not text.startswith("\n", at):
        raise NotAnInputBlock(f"begins with {CONTEXT_LINE.strip()!r}, but what follows are no earlier messages.")
    return tuple(messages), media, at + 1


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
