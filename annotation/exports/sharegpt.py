"""ShareGPT rows as LLaMA-Factory reads them: conversations, system, images, videos; one placeholder a medium."""

from typing import Any

from annotation.exports.projection import Drop, completion_of, messages_of, text_of
from annotation.selectors_export import ReviewedRow
from guardapp.guard.taxonomy import MediaKind

IMAGE, VIDEO = "<image>", "<video>"
PLACEHOLDERS = (IMAGE, VIDEO, "<audio>")


def sharegpt(row: ReviewedRow) -> dict[str, Any] | Drop:
    completion = completion_of(row)
    if isinstance(completion, Drop):
        return completion
    system, user = messages_of(row)
    words = f"{row.prompt}{row.response or ''}{completion}"
    if "<" in words and any(placeholder in words for placeholder in PLACEHOLDERS):
        return Drop.PLACEHOLDER_IN_TEXT
    return {
        "conversations": [{"from": "human", "value": text_of(user, image=IMAGE, video=VIDEO)}, {"from": "gpt", "value": completion}],
        "system": text_of(system),
        "images": [medium.uri for medium in row.media if medium.kind is MediaKind.IMAGE],
        "videos": [medium.uri for medium in row.media if medium.kind is MediaKind.VIDEO],
    }
