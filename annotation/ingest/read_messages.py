"""Reads `messages`: a conversation in OpenAI's shape, as the content of a row.

Judged are the last user message (the prompt) and what the assistant wrote after it (the response), with the media of
both. All other messages are context, in their order: `Item.messages`. Those of system and tools after the last user
message are context too. A `developer` message counts as `system`, as
OpenAI's own models read it, and `function` as `tool`. The calls of tools that an assistant's message asks for belong to
its text, one a line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.ingest.read_fields import FieldReader
from annotation.ingest.read_media import MediaFinder, read_medium
from annotation.ingest.values import MAX_MEDIA_OF_AN_ITEM, MAX_TEXT_CHARACTERS, IncomingMedia

MAX_MESSAGES = 200
MAX_PARTS = 200  # of a message
MAX_NAME = 100
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "annotations", "id"})
TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
MEDIA = ("image_url", "input_image", "image", "video_url", "input_video", "video")
MEDIA_FIELDS = ("image_url", "video_url", "image", "video", "url")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The judged exchange and the `Item.messages` before it. `media` holds the context's media, then the exchange's."""

    prompt: str = ""
    response: str | None = None
    media: tuple[IncomingMedia, ...] = ()
    messages: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class _Message:
    role: str
    text: str
    media: tuple[IncomingMedia, ...] = ()
    name: str = ""


def read_messages(reader: FieldReader, find: MediaFinder, *, name: str = "messages") -> Conversation:
    """Read the conversation in a field; its errors go to the reader."""
    given = reader.sequence(name)
    if len(given) > MAX_MESSAGES:
        reader.refuse(name, f"has {len(given):,} messages, the limit is {MAX_MESSAGES}.")
        return Conversation()
    before = len(reader.errors)
    messages = [_message(reader, f"{name}/{number}", value, find) for number, value in enumerate(given)]
    if len(reader.errors) > before:
        return Conversation()
    characters = sum(len(one.text) for one in messages)
    if characters > MAX_TEXT_CHARACTERS:
        reader.refuse(name, f"has {characters:,} characters, the limit is {MAX_TEXT_CHARACTERS:,}.")
    if (media := sum(len(one.media) for one in messages)) > MAX_MEDIA_OF_AN_ITEM:
        reader.refuse(name, f"has {media:,} images and videos, the limit is {MAX_MEDIA_OF_AN_ITEM}.")
    if not messages:
        return Conversation()
    users = [number for number, one in enumerate(messages) if one.role == "user"]
    if not users:
        reader.refuse(name, "has no message of the role user, so there is nothing to judge.")
        return Conversation()
    if not _holds_content(messages[users[-1] :]):
        reader.refuse(f"{name}/{users[-1]}/content", "is empty, so there is nothing to judge.")
    return _divided(messages, users[-1])


def _holds_content(messages: Sequence[_Message]) -> bool:
    """Whether the user's message or the assistant's answer to it has text or media."""
    return any(one.media or one.text.strip() for one in messages if one.role in ("user", "assistant"))


def _divided(messages: Sequence[_Message], last_user: int) -> Conversation:
    asked = messages[last_user]
    answers = [one for one in messages[last_user + 1 :] if one.role == "assistant"]
    judged = [asked, *answers]
    between = [one for one in messages[last_user + 1 :] if one.role != "assistant"]
    before = [*messages[:last_user], *between]
    rows: list[dict[str, Any]] = []
    media: list[IncomingMedia] = []
    for one in before:
        places = list(range(len(media), len(media) + len(one.media)))
        media += one.media
        named = {"name": one.name} if one.name else {}
        rows.append({"role": one.role, "text": one.text} | named | ({"media": places} if places else {}))
    return Conversation(
        asked.text,
        "\n\n".join(one.text for one in answers if one.text) if answers else None,
        (*media, *(medium for one in judged for medium in one.media)),
        tuple(rows),
    )


def _message(reader: FieldReader, name: str, value: object, find: MediaFinder) -> _Message:
    if not isinstance(value, Mapping):
        reader.refuse(name, "must be an object with role and content.")
        return _Message("", "")
    own = FieldReader(value, reader.errors, f"{reader.at}/{name}")
    own.refuse_unknown(MESSAGE_FIELDS.union(key for key in value if value[key] is None))
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        own.refuse("role", f"is {str(role)[:40]!r}. Use {', '.join(ROLES)}." if role else "is missing.")
    texts, media = _content(own, find)
    texts += [own.text("refusal")] + [_call(own, number) for number in range(len(own.sequence("tool_calls")))]
    text = "\n".join(text for text in texts if text)
    return _Message(ROLES.get(str(role), ""), text, tuple(media), own.text("name", limit=MAX_NAME))


def _content(reader: FieldReader, find: MediaFinder) -> tuple[list[str], list[IncomingMedia]]:
    given = reader.row.get("content")
    if given is None or isinstance(given, str):
        return [reader.text("content")], []
    texts: list[str] = []
    media: list[IncomingMedia] = []
    if not isinstance(given, list):
        reader.refuse("content", "must be text, or a list of parts.")
    elif len(given) > MAX_PARTS:
        reader.refuse("content", f"has {len(given):,} parts, the limit is {MAX_PARTS}.")
    else:
        for number, part in enumerate(given):
            text, medium = _part(reader, f"content/{number}", part, find)
            texts += [text] if text else []
            media += [medium] if medium is not None else []
    return texts, media


def _part(reader: FieldReader, name: str, part: object, find: MediaFinder) -> tuple[str, IncomingMedia | None]:
    if isinstance(part, str):
        return FieldReader({name: part}, reader.errors, reader.at).text(name), None
    if not isinstance(part, Mapping):
        reader.refuse(name, "must be an object with a type.")
        return "", None
    own, kind = FieldReader(part, reader.errors, f"{reader.at}/{name}"), str(part.get("type"))
    if kind in TEXTS:
        return own.text(TEXTS[kind]), None
    if kind in MEDIA:
        field = next((field for field in MEDIA_FIELDS if part.get(field) is not None), kind)
        place = part.get(field)
        return "", read_medium(own, field, place.get("url") if isinstance(place, Mapping) else place, find)
    own.refuse("type", f"is {kind[:40]!r}. Use text, image_url or video_url.")
    return "", None


def _call(reader: FieldReader, number: int) -> str:
    """A call of a tool as a line of text."""
    call = reader.row["tool_calls"][number]
    given = call.get("function", call.get("custom")) if isinstance(call, Mapping) else None
    if not isinstance(given, Mapping):
        reader.refuse(f"tool_calls/{number}", "must be an object with a function.")
        return ""
    own = FieldReader(given, reader.errors, f"{reader.at}/tool_calls/{number}/function")
    return f"{own.text('name', limit=MAX_NAME)}({own.text('arguments') or own.text('input')})"
