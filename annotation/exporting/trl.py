"""TRL's conversational prompt-completion rows, with images and videos.

Rows are {"prompt": [system, user], "completion": [assistant]}. Content is a list of parts in exports with media, and a
string in others. An export never mixes both, because an Arrow column has one type; strings are used without media
because text-only chat templates would print a list literally.
"""

from typing import Any

from annotation.exporting.projection import Drop, completion_of, messages_of, texts_of
from annotation.exporting.values import ReviewedRow
from guardapp.guard.taxonomy import MediaKind


def columns(pa: Any, with_media: bool) -> Any:
    content = pa.list_(pa.struct({"type": pa.string(), "text": pa.string()})) if with_media else pa.string()
    messages, words = pa.list_(pa.struct({"role": pa.string(), "content": content})), pa.list_(pa.string())
    media = {"images": words, "videos": words} if with_media else {}
    return pa.schema({"prompt": messages, "completion": messages, **media})


def trl_text(row: ReviewedRow) -> dict[str, Any] | Drop:
    """Project a row of an export without media."""
    completion = completion_of(row)
    if isinstance(completion, Drop):
        return completion
    system, user = texts_of(row)
    return {
        "prompt": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "completion": [{"role": "assistant", "content": completion}],
    }


def trl_media(row: ReviewedRow) -> dict[str, Any] | Drop:
    """Project a row of an export with media. Text-only rows have empty lists of media."""
    completion = completion_of(row)
    if isinstance(completion, Drop):
        return completion
    return {
        "prompt": messages_of(row),
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": completion}]}],
        "images": [medium.uri for medium in row.media if medium.kind is MediaKind.IMAGE],
        "videos": [medium.uri for medium in row.media if medium.kind is MediaKind.VIDEO],
    }
