"""Shared by all projections: reasons for dropping a row, and the guard's prompt and target for a row."""

from collections.abc import Callable
from typing import Any

from django.db.models import TextChoices

from annotation.exporting.values import ReviewedRow
from annotation.status import ItemStatus, TargetSource
from guardapp.guard.parsing import render_labels
from guardapp.guard.prompting import Message, chat_messages, message_texts
from guardapp.guard.verdict import Sample, SeenMedia


class Drop(TextChoices):
    """Why a projection drops a reviewed row. The labels appear in the API documentation."""

    TARGET_PENDING = "target_pending", "the guard has still to write the reasoning for the corrected verdict"
    TARGET_UNAVAILABLE = "target_unavailable", "no reasoning could be made"
    NO_PROMPT_LABEL = "no_prompt_label", "the gold label has no prompt label"
    WITHDRAWN = "withdrawn", "the sender has withdrawn the item"
    PLACEHOLDER_IN_TEXT = (
        "placeholder_in_text",
        "the text holds the format's own placeholder, which would be counted as media",
    )


WITHDRAWN = ItemStatus.WITHDRAWN.value
PENDING, UNAVAILABLE = TargetSource.PENDING.value, TargetSource.UNAVAILABLE.value
Projection = Callable[[ReviewedRow], dict[str, Any] | Drop]


def messages_of(row: ReviewedRow) -> list[Message]:
    """Return the guard's prompt, as used in serving and training."""
    media = tuple(SeenMedia(medium.kind, ()) for medium in row.media)
    return chat_messages(
        Sample(
            id="",
            prompt=row.prompt,
            response=row.response,
            media=media,
            policy_text=row.prompt_policy,
            context=row.context(),
        )
    )


def texts_of(row: ReviewedRow, *, image: str = "", video: str = "") -> tuple[str, str]:
    """Return the system and user messages as text, with the given placeholders for media."""
    if not row.media:
        return message_texts(row.prompt, row.response, row.prompt_policy, row.context())
    system, user = messages_of(row)
    return text_of(system), text_of(user, image=image, video=video)


def completion_of(row: ReviewedRow) -> str | Drop:
    """Return the training target: the completion the guard should have produced.

    There is none for a withdrawn item, which nobody should train on.
    """
    if row.status == WITHDRAWN:
        return Drop.WITHDRAWN
    if row.target_source == PENDING:
        return Drop.TARGET_PENDING
    if row.target_source == UNAVAILABLE:
        return Drop.TARGET_UNAVAILABLE
    if row.prompt_label is None:
        return Drop.NO_PROMPT_LABEL
    return render_labels(row.steps(), row.prompt_label, None if row.response is None else row.response_label)


def text_of(message: Message, *, image: str = "", video: str = "") -> str:
    """Return a message as one string, with the given placeholders for media."""
    words = {"image": image, "video": video}
    return "".join(part["text"] if part["type"] == "text" else words[part["type"]] for part in message["content"])
