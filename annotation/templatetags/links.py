"""Filters for the evidence: links of reasoning steps, earlier messages, and text whose characters the page counts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from annotation.media.shown import Medium
from annotation.models import Item, Prediction
from annotation.predictions.windows import ShownWindow, shown_windows
from annotation.review.step_links import REGION, SPAN
from annotation.templatetags.ui import clock_time

register = template.Library()
LONGEST = 40


@register.filter
def exactly(text: str) -> SafeString:
    """Escape text so that the page shows it exactly as stored: a browser would turn a bare CR into a line feed."""
    return mark_safe(escape(text).replace("\r", "&#13;"))  # noqa: S308  (escaped here)


@register.simple_tag
def windows_of(prediction: Prediction, item: Item) -> list[ShownWindow]:
    """The windows in which the guard read a long item; empty for any other."""
    return shown_windows(prediction, item)


@register.filter
def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A message before the judged exchange, with its media."""

    role: str
    text: str
    name: str
    media: tuple[Medium, ...]
    left_out: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """The earlier messages, and the media of the judged exchange. The guard was not given the first `left_out`."""

    earlier: tuple[Earlier, ...]
    judged: tuple[Medium, ...]
    left_out: int


@register.simple_tag
def conversation(item: Item, media: Sequence[Medium]) -> Conversation:
    """Divide an item's media between its earlier messages and what is judged."""
    by_number = {medium.number: medium for medium in media}
    windows = item.prediction.windows if item.prediction is not None else None
    left_out = windows[0].get("left_out", 0) if windows else 0
    earlier = tuple(
        Earlier(
            message["role"],
            message["text"],
            message.get("name", ""),
            tuple(by_number.pop(place) for place in message.get("media", ()) if place in by_number),
            number < left_out,
        )
        for number, message in enumerate(item.messages)
    )
    return Conversation(earlier, tuple(by_number.values()), left_out)


@register.simple_tag
def link_words(link: Mapping[str, Any], item: Item, prediction: Prediction | None) -> str:
    """Describe a link, such as: frame 3 · 0:01.50; region of frame 1 · 0:00.00; “quoted words”."""
    if link["kind"] == SPAN:
        words = ((item.prompt if link["field"] == "prompt" else item.response) or "")[link["start"] : link["end"]]
        return f"“{words[:LONGEST]}…”" if len(words) > LONGEST else f"“{words}”"
    seen = list(prediction.media_seen) if prediction is not None else []
    times = seen[link["medium"]]["timestamps"] if link["medium"] < len(seen) else []
    if len(times) <= 1:
        frame = _("the picture")
    else:
        frame = _("frame %(number)s") % {"number": link["index"] + 1}
        frame += f" · {clock_time(times[link['index']])}" if link["index"] < len(times) else ""
    return _("region of %(frame)s") % {"frame": frame} if link["kind"] == REGION else frame
