"""Parses moderation requests into Content.

Texts and files undergo the same checks as those of items.
"""

from collections.abc import Mapping
from typing import Any

from annotation.ingest.read_fields import FieldReader
from annotation.ingest.read_media import MediaFinder, no_files, read_medium, with_fetching
from annotation.ingest.read_messages import Conversation, read_messages
from annotation.ingest.read_rows import content_in
from annotation.ingest.values import FieldError, IncomingMedia
from annotation.moderation.guard_wire import Content

MAX_CONTENTS = 64  # per request
OWN_FIELDS = frozenset({"prompt", "response", "media", "messages"})


def read_input(given: object, errors: list[FieldError]) -> list[Content]:
    """Read OpenAI's `input`: a text, a list of texts (one result each), or a list of parts (one result in total).

    Beyond OpenAI's own, a list of messages is taken: a conversation, with one result in total.
    """
    if isinstance(given, str):
        return [_text_content(given, "/input", errors)]
    if isinstance(given, list) and given and all(isinstance(one, Mapping) and "role" in one for one in given):
        messages = FieldReader({"input": given}, errors)
        return [_content(read_messages(messages, with_fetching(no_files), name="input"), "")]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_CONTENTS:
        errors.append(FieldError("/input", f"must be a text, or a list of 1 to {MAX_CONTENTS} texts or parts."))
        return []
    if all(isinstance(one, str) for one in given):
        return [_text_content(text, f"/input/{at}", errors) for at, text in enumerate(given)]
    return [_parts_content(given, errors, with_fetching(no_files))]


def read_contents(given: object, errors: list[FieldError]) -> list[Content]:
    """Read `contents` of guardapp's own endpoint: objects with prompt, response and media, or with messages."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_CONTENTS:
        errors.append(FieldError("/contents", f"must be a list of 1 to {MAX_CONTENTS} objects."))
        return []
    find = with_fetching(no_files)
    return [_own_content(one, f"/contents/{at}", errors, find) for at, one in enumerate(given)]


def _own_content(given: object, at: str, errors: list[FieldError], find: MediaFinder) -> Content:
    if not isinstance(given, Mapping):
        errors.append(FieldError(at, "is not an object."))
        return Content()
    reader = FieldReader(given, errors, at)
    reader.refuse_unknown(OWN_FIELDS)
    return _not_empty(_content(content_in(reader, find), at), at, errors)


def _content(read: Conversation, at: str) -> Content:
    """The content, with its media's pointers relative to `at`."""
    places = tuple(medium.pointer.removeprefix(at) for medium in read.media)
    return Content(read.prompt, read.response, _bytes(read.media), read.messages, places)


def _text_content(text: str, at: str, errors: list[FieldError]) -> Content:
    parent, _, name = at.rpartition("/")
    return _not_empty(Content(FieldReader({name: text}, errors, parent).text(name)), at, errors)


def _parts_content(parts: list[Any], errors: list[FieldError], find: MediaFinder) -> Content:
    texts: list[str] = []
    media: list[IncomingMedia] = []
    for at, part in enumerate(parts):
        reader = FieldReader(part if isinstance(part, Mapping) else {}, errors, f"/input/{at}")
        kind = reader.row.get("type")
        if kind == "text":
            texts.append(reader.text("text"))
        elif kind == "image_url":
            place = reader.row.get("image_url")
            medium = read_medium(
                reader, "image_url/url", place.get("url") if isinstance(place, Mapping) else None, find
            )
            media += [medium] if medium is not None else []
        else:
            reader.refuse("type", "must be text or image_url.")
    return _not_empty(Content("\n".join(texts), None, _bytes(media)), "/input", errors)


def _bytes(media: "list[IncomingMedia] | tuple[IncomingMedia, ...]") -> tuple[bytes, ...]:
    return tuple(medium.content for medium in media if isinstance(medium.content, bytes))


def _not_empty(content: Content, at: str, errors: list[FieldError]) -> Content:
    if not errors and not (content.prompt.strip() or (content.response or "").strip() or content.media):
        errors.append(FieldError(at, "has no content."))
    return content
