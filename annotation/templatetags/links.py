"""Filters for links of reasoning steps, and for text whose characters the page can count."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from annotation.models import Item, Prediction
from annotation.review.step_links import REGION, SPAN
from annotation.templatetags.ui import clock_time

register = template.Library()
LONGEST = 40


@register.filter
def exactly(text: str) -> SafeString:
    """Escape text so that the page shows it exactly as stored: a browser would turn a bare CR into a line feed."""
    return mark_safe(escape(text).replace("\r", "&#13;"))  # noqa: S308  (escaped here)


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
