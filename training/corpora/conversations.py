"""Published conversation formats → turns. The fields of a row determine which of four shapes it has.

messages       [{"role", "content"}]; the assistant's last is the completion; optional `rejected_response`
               (ms-swift)
conversations  [{"from", "value"}] and `system`; without `chosen`, gpt's last is the completion (LLaMA-Factory)
prompt         [{"role", "content"}] with `completion`, or with `chosen` and `rejected`: lists of messages (TRL)
chosen, rejected  one message each, or a list of one, besides conversations or messages
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.ingest.read_fields import NAME_OF_TYPE, FieldReader
from annotation.ingest.values import FieldError

ROLE_BY_NAME = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
NO_CONVERSATION = (
    "has no conversation: give messages, conversations, or a prompt with a completion, or with chosen and rejected."
)
PLACEHOLDERS = {"image": "<image>", "video": "<video>", "image_url": "<image>", "video_url": "<video>"}


@dataclass(frozen=True, slots=True)
class Turn:
    role: str  # system, user or assistant
    text: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row's turns. `rejected` is None if the row is not a preference."""

    system: str
    user: Turn
    completion: Turn
    rejected: Turn | None = None


def read_conversation(reader: FieldReader) -> Conversation | None:
    """Return the turns, or None after adding the reason to `reader.errors`."""
    field = next((name for name in ("messages", "conversations", "prompt") if name in reader.row), None)
    if field is None:
        reader.errors.append(FieldError(reader.at, NO_CONVERSATION))
        return None
    turns = _turns(reader, field)
    chosen = _answer(reader, "completion" if field == "prompt" and "completion" in reader.row else "chosen")
    rejected = _answer(reader, "rejected_response" if "rejected_response" in reader.row else "rejected")
    if reader.errors:
        return None
    if chosen is None and turns and turns[-1].role == "assistant":
        chosen = turns.pop()
    system = "\n".join(turn.text for turn in turns if turn.role == "system") or reader.text("system")
    users = [turn for turn in turns if turn.role != "system"]
    if len(users) != 1 or users[0].role != "user":
        reader.refuse(
            field,
            f"must have one user message, this has the roles {', '.join(turn.role for turn in users) or 'none'}.",
        )
    elif chosen is None:
        reader.refuse(field, "has no assistant message to learn.")
    else:
        return Conversation(system, users[0], chosen, rejected)
    return None


def _turns(reader: FieldReader, name: str) -> list[Turn]:
    turns = (_turn(reader, value, f"{name}/{number}") for number, value in enumerate(reader.sequence(name)))
    return [turn for turn in turns if turn is not None]


def _answer(reader: FieldReader, name: str) -> Turn | None:
    """The assistant's message in a field: a text, a message, or a list of one message."""
    value = reader.row.get(name)
    if value is None:
        return None
    if isinstance(value, list):
        if len(value) != 1:
            reader.refuse(name, f"must hold one message, this holds {len(value)}.")
            return None
        value = value[0]
    turn = Turn("assistant", value, name) if isinstance(value, str) else _turn(reader, value, name)
    if turn is not None and turn.role != "assistant":
        reader.refuse(name, f"must be an assistant message, this is from the {turn.role}.")
    return turn


def _turn(reader: FieldReader, value: Any, pointer: str) -> Turn | None:
    if not isinstance(value, Mapping):
        reader.refuse(pointer, f"must be a message, this is {NAME_OF_TYPE.get(type(value), type(value).__name__)}.")
        return None
    name = value.get("role", value.get("from"))
    role = ROLE_BY_NAME.get(name) if isinstance(name, str) else None
    if role is None:
        reader.refuse(f"{pointer}/role", f"is {name!r}. Known here: {', '.join(ROLE_BY_NAME)}.")
        return None
    text = _text(value.get("content", value.get("value")))
    if text is None:
        reader.refuse(f"{pointer}/content", "must be text, or a list of text, image and video parts.")
        return None
    return Turn(role, text, pointer)


def _text(content: Any) -> str | None:
    """Join content parts into text with placeholders."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    pieces = [_part(part) for part in content]
    return None if None in pieces else "".join(piece or "" for piece in pieces)


def _part(part: Any) -> str | None:
    if not isinstance(part, Mapping):
        return None
    if part.get("type") == "text":
        return part["text"] if isinstance(part.get("text"), str) else None
    return PLACEHOLDERS.get(str(part.get("type")))
