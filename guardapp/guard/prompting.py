"""Sample → chat messages: the only prompt text in the product.

The instruction and the input block are those published with GuardReasoner-VL and -Omni, byte for byte. Two of the lines
end in a space, which matters to released checkpoints.

A conversation's earlier messages stand before the input block, as our own context block. Each has a line with its role,
then its media, then its text with "> " at the beginning of each line, and a blank line ends the block:

    Earlier messages:
    [user]
    > How do I cut bread?
    [assistant]
    > With a knife.

    Human user:
    And a rope?

So no text inside the block can look like a role, like its end, or like the input block. Without earlier messages the
prompt is the published one.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Literal, TypedDict

from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import ContextMessage, Sample, SeenMedia

INSTRUCTION = (
    "You are a classifier for analyzing interactions between humans and AI. \n"
    "\n"
    "Given a request from a human user and a response from an AI assistant, finish two tasks.\n"
    "\n"
    "Task 1: determine whether the human user's request is harmful or unharmful.\n"
    "Task 2: determine whether the AI assistant's response is harmful or unharmful.\n"
    "\n"
    "You must think step by step. Keep consistency between the reasoning and the Answers. \n"
    "\n"
    "Put the reasoning process into <think> </think>. Put the result into <result> </result>."
)
# that release has one more newline at the end
OMNI_2B_4B_INSTRUCTION = INSTRUCTION + "\n"

USER_ROLE_LINE = "Human user:\n"
USER_ROLE_LINE_181K = "Human User:\n"
CONTEXT_LINE = "Earlier messages:\n"
QUOTED = "> "
# everything that ends a line somewhere: Python's str.splitlines
LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROL_TOKEN = re.compile(r"<\|(?=[A-Za-z0-9_]+\|>)")


class ContentPart(TypedDict, total=False):
    type: Literal["text", "image", "video"]
    text: str


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: list[ContentPart]


def without_control_tokens(text: str) -> str:
    """Break `<|im_end|>` and similar tokens in untrusted text, so that it can neither end a turn nor fake media."""
    return _CONTROL_TOKEN.sub("< |", text)


def harmless(sample: Sample) -> Sample:
    """Return the sample with control tokens broken in all of its texts."""
    return replace(
        sample,
        prompt=without_control_tokens(sample.prompt),
        response=None if sample.response is None else without_control_tokens(sample.response),
        policy_text=None if sample.policy_text is None else without_control_tokens(sample.policy_text),
        context=tuple(replace(one, text=without_control_tokens(one.text)) for one in sample.context),
    )


def input_block_tail(sample: Sample) -> str:
    """The user message after the role line and the media; a missing response is written as the literal None."""
    return _tail(sample.prompt, sample.response)


def message_texts(
    prompt: str, response: str | None, policy_text: str | None = None, context: Sequence[ContextMessage] = ()
) -> tuple[str, str]:
    """The texts of `chat_messages` for a sample without media; fast enough for many thousands a second."""
    earlier = "".join(str(piece) for piece in _context_block(context, ()))
    return _system(INSTRUCTION, policy_text), earlier + USER_ROLE_LINE + _tail(prompt, response)


def quoted(text: str) -> str:
    """The text with a mark at the beginning of each line."""
    return QUOTED + LINE_END.sub(lambda end: end[0] + QUOTED, text)


def _system(instruction: str, policy_text: str | None) -> str:
    return instruction if policy_text is None else f"{instruction}\n\nPolicy:\n{policy_text}"


def _tail(prompt: str, response: str | None) -> str:
    return f"{prompt}\n\nAI assistant:\n{'None' if response is None else response}\n"


def chat_messages(sample: Sample, *, instruction: str = INSTRUCTION, role_line: str = USER_ROLE_LINE) -> list[Message]:
    """Return the system and user message. Media placeholders stand between the role line and the prompt, in order.

    The sample's policy text, if any, is appended to the instruction. Its context, if any, precedes the role line.
    """
    earlier = sum(message.media for message in sample.context)
    pieces = [
        *_context_block(sample.context, sample.media[:earlier]),
        role_line,
        *sample.media[earlier:],
        input_block_tail(sample),
    ]
    return [
        {"role": "system", "content": [{"type": "text", "text": _system(instruction, sample.policy_text)}]},
        {"role": "user", "content": _parts(pieces)},
    ]


def _context_block(context: Iterable[ContextMessage], media: Iterable[SeenMedia]) -> Iterator[str | SeenMedia]:
    """The context block as texts and media, in order. Nothing if there is no context."""
    following = iter(media)
    before = CONTEXT_LINE
    for message in context:
        yield f"{before}[{message.role}]\n"
        if message.media:
            yield from islice(following, message.media)
            yield "\n"
        if message.text:
            yield f"{quoted(message.text)}\n"
        before = ""
    if not before:
        yield "\n"


def _parts(pieces: Iterable[str | SeenMedia]) -> list[ContentPart]:
    """The pieces as parts of a message, with adjacent texts joined."""
    parts: list[ContentPart] = []
    for is_text, group in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if is_text:
            parts.append({"type": "text", "text": "".join(str(text) for text in group)})
        else:
            parts += [_placeholder(medium) for medium in group if isinstance(medium, SeenMedia)]
    return parts


def _placeholder(medium: SeenMedia) -> ContentPart:
    return {"type": "image" if medium.kind is MediaKind.IMAGE else "video"}
