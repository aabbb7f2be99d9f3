"""ShareGPT rows for LLaMA-Factory: conversations, system, images and videos, with one placeholder per medium."""

from typing import Any

from annotation.exporting.projection import Drop, completion_of, texts_of
from annotation.exporting.values import ReviewedRow
from guardapp.guard.taxonomy import MediaKind

IMAGE, VIDEO = "<image>", "<video>"
PLACEHOLDERS = (IMAGE, VIDEO, "<audio>")


def columns(pa: Any, with_media: bool) -> Any:
    turns, words = pa.list_(pa.struct({"from": pa.string(), "value": pa.string()})), pa.list_(pa.string())
    return pa.schema({"conversations": turns, "system": pa.string(), "images": words, "videos": words})


def sharegpt(row: ReviewedRow) -> dict[str, Any] | Drop:
    completion = completion_of(row)
    if isinstance(completion, Drop):
        return completion
    system, user = texts_of(row, image=IMAGE, video=VIDEO)
    words = f"{row.prompt}{row.response or ''}{completion}{''.join(message.text for message in row.context())}"
    if "<" in words and any(placeholder in words for placeholder in PLACEHOLDERS):
        return Drop.PLACEHOLDER_IN_TEXT
    return {
        "conversations": [{"from": "human", "value": user}, {"from": "gpt", "value": completion}],
        "system": system,
        "images": [medium.uri for medium in row.media if medium.kind is MediaKind.IMAGE],
        "videos": [medium.uri for medium in row.media if medium.kind is MediaKind.VIDEO],
    }
