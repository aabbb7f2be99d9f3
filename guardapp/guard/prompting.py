"""Sample → chat messages: the only prompt text in the product.

The instruction and the input block are those published with GuardReasoner-VL and -Omni, byte for byte. Two of the lines
end in a space, which matters to released checkpoints.
"""

import re
from dataclasses import replace
from typing import Literal, TypedDict

from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Sample

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
    )


def input_block_tail(sample: Sample) -> str:
    """The user message after the role line and the media; a missing response is written as the literal None."""
    return _tail(sample.prompt, sample.response)


def message_texts(prompt: str, response: str | None, policy_text: str | None = None) -> tuple[str, str]:
    """The texts of `chat_messages` for a sample without media; fast enough for many thousands a second."""
    return _system(INSTRUCTION, policy_text), USER_ROLE_LINE + _tail(prompt, response)


def _system(instruction: str, policy_text: str | None) -> str:
    return instruction if policy_text is None else f"{instruction}\n\nPolicy:\n{policy_text}"


def _tail(prompt: str, response: str | None) -> str:
    return f"{prompt}\n\nAI assistant:\n{'None' if response is None else response}\n"


def chat_messages(sample: Sample, *, instruction: str = INSTRUCTION, role_line: str = USER_ROLE_LINE) -> list[Message]:
    """Return the system and user message. Media placeholders stand between the role line and the prompt, in order.

    The sample's policy text, if any, is appended to the instruction.
    """
    system = _system(instruction, sample.policy_text)
    media: list[ContentPart] = [
        {"type": "image" if medium.kind is MediaKind.IMAGE else "video"} for medium in sample.media
    ]
    tail: ContentPart = {"type": "text", "text": input_block_tail(sample)}
    head: ContentPart = {"type": "text", "text": role_line}
    content = [head, *media, tail] if media else [{"type": "text", "text": role_line + input_block_tail(sample)}]
    return [
        {"role": "system", "content": [{"type": "text", "text": system}]},
        {"role": "user", "content": content},  # type: ignore[typeddict-item]
    ]
