"""Template tags and filters shared by all pages."""

import json
from collections.abc import Mapping
from datetime import datetime

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format, get_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.database.lists import COUNTED_UP_TO
from annotation.models import Prediction
from annotation.operations.troubles import Standing, standing_troubles
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.predictions.calibration import told
from annotation.status import EventKind
from guardapp.guard.how_sure import SIDES, Side

register = template.Library()

_PLACES: tuple[tuple[str, str, bool], ...] = (  # URL name, label, leads only
    ("home", gettext_noop("Review"), False),
    ("items", gettext_noop("Items"), False),
    ("upload", gettext_noop("Upload"), True),
    ("training:home", gettext_noop("Training"), True),
    ("queues", gettext_noop("Queues"), True),
    ("insights", gettext_noop("Insights"), True),
    ("export", gettext_noop("Export"), True),
    ("policy", gettext_noop("Policy"), False),
)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """One icon of the sprite. Screen readers read its label; without a label it is decorative."""
    sprite = static("vendor/icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>', label, sprite, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name)


@register.inclusion_tag("components/nav_links.html", takes_context=True)
def nav_links(context: template.Context) -> dict[str, object]:
    """Navigation links available to this user. Links to pages that are not installed are left out."""
    request: HttpRequest = context["request"]
    lead = getattr(request.user, "is_lead", False)
    match = request.resolver_match
    here = match.view_name if match else ""
    links = []
    for name, words, for_leads in _PLACES:
        if for_leads and not lead:
            continue
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        current = _section(here) == _section(name)
        links.append({"url": url, "words": _(words), "current": current})
    return {"links": links}


@register.inclusion_tag("components/troubles.html", takes_context=True)
def troubles(context: template.Context) -> dict[str, tuple[Standing, ...]]:
    """Current troubles, for signed-in users only."""
    user = getattr(context.get("request"), "user", None)
    return {"standing": standing_troubles() if getattr(user, "is_authenticated", False) else ()}


@register.filter
def pairs(mapping: Mapping[str, object]) -> list[tuple[str, object]]:
    """Names and values of an object from an API client. A template's `.items` would look up a field named "items"."""
    return list(mapping.items())


def _section(view_name: str) -> str:
    if ":" in view_name:
        return view_name.split(":", maxsplit=1)[0]
    return {
        "review": "home",
        "item": "items",
        "upload_done": "upload",
        "queue": "queues",
        "queue_new": "queues",
        "rule": "queues",
        "rule_new": "queues",
        "moderation": "queues",
        "policy_edit": "policy",
        "stale": "policy",
        "appeals": "items",
        "known": "insights",
    }.get(view_name, view_name)


_LABEL_ICONS = {"harmful": "triangle-alert", "unharmful": "check"}


@register.simple_tag
def label_badge(label: str | None) -> SafeString:
    """A label badge: harmful, unharmful or no label, by word and icon as well as colour."""
    if not label:
        return format_html('<span class="badge">{}</span>', _("no label"))
    return format_html(
        '<span class="badge {}">{}{}</span>', label, icon(_LABEL_ICONS.get(label, "circle")), word(label)
    )


@register.simple_tag(takes_context=True)
def category_badge(context: template.Context, code: str) -> SafeString:
    """A category by its code and its newest name, whether or not the policy still has it."""
    request = context["request"]
    if not hasattr(request, "known_categories"):  # read once a page
        request.known_categories = {one.code: one for one in known_categories(active_policy_version())}
    known = request.known_categories.get(code)
    words = str(known) if known else code
    return format_html(
        '<span class="badge">{}</span>', _("%(name)s (retired)") % {"name": words} if known and known.retired else words
    )


@register.inclusion_tag("components/how_sure.html")
def how_sure(prediction: Prediction, side: Side) -> dict[str, object]:
    """The probability of harm of one side, as one number."""
    return {"told": told(prediction, side)}


@register.inclusion_tag("components/how_sure_in_detail.html")
def how_sure_in_detail(prediction: Prediction) -> dict[str, object]:
    """What the probabilities of harm are made of, and where they contradict the verdict."""
    sides = [one for side in SIDES if (one := told(prediction, side)).sure.harm is not None or one.label is not None]
    return {"sides": sides, "contradicting": [one for one in sides if one.contradicts]}


# values shown as words on pages; forms and the API keep the value
VALUES = (
    gettext_noop("harmful"),
    gettext_noop("unharmful"),
    gettext_noop("text"),
    gettext_noop("image"),
    gettext_noop("video"),
    gettext_noop("text-image"),
    gettext_noop("prompt"),
    gettext_noop("response"),
    gettext_noop("accepted"),
    gettext_noop("corrected"),
    gettext_noop("unparsed"),
    gettext_noop("train"),
    gettext_noop("holdout"),
    gettext_noop("temperature"),
    gettext_noop("isotonic"),
)


@register.filter
def word(value: object) -> str:
    """Translate a product term that comes from Python; other values are unchanged."""
    return _(str(value)) if value is not None else ""


_STATUS_BADGES = {
    "pending": ("", "clock"),
    "predicting": ("accent", "bot"),
    "ready": ("accent", "inbox"),
    "escalated": ("warn", "flag"),
    "reviewed": ("good", "check"),
    "prediction_failed": ("bad", "circle-alert"),
    "withdrawn": ("", "x"),
}


@register.simple_tag
def status_badge(status: str, words: str) -> SafeString:
    kind, name = _STATUS_BADGES.get(status, ("", "circle"))
    return format_html('<span class="badge {}">{}{}</span>', kind, icon(name), words)


@register.filter
def percent(share: float | None) -> str:
    """0.375 → 38 %; empty for None."""
    return "" if share is None else f"{share * 100:.0f} %"


@register.filter
def as_json(value: object) -> str:
    """JSON for a data attribute; the template escapes it."""
    return json.dumps(value)


@register.filter
def duration(seconds: float) -> str:
    """3723 → 1 h 2 min; seconds only below a minute."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{whole} s"


@register.filter
def short(number: object) -> str:
    """A float with at most three significant digits (12, 0.125, 3.4); other values are unchanged."""
    return f"{number:.3g}".replace(".", get_format("DECIMAL_SEPARATOR")) if isinstance(number, float) else str(number)


@register.filter
def unlocalized(number: object) -> str:
    """A number in machine-readable form, independent of the page's language."""
    return repr(number)


@register.filter
def ago(moment: datetime | None) -> str:
    """The time since a moment, in its largest unit."""
    if moment is None:
        return _("never")
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for size, words in ((86_400, _("%(n)s d ago")), (3_600, _("%(n)s h ago")), (60, _("%(n)s min ago"))):
        if seconds >= size:
            return words % {"n": seconds // size}
    return _("just now")


@register.filter
def moment(at: datetime | None, shape: str = "") -> str:
    """A time with its zone: 29 Nov 2026, 18:25 CET. `shape` is a date format, without it that of the language."""
    if at is None:
        return ""
    here = timezone.localtime(at)
    return f"{date_format(here, shape or _('j M Y, H:i'))} {date_format(here, 'T')}"


@register.simple_tag
def when(at: datetime | None, css: str = "") -> SafeString:
    """How long ago it was; the time itself with its zone stands in the title."""
    if at is None:
        return format_html("{}", _("never"))
    shown = format_html(' class="{}"', css) if css else ""
    return format_html(
        '<time{} datetime="{}" title="{}">{}</time>', shown, at.isoformat(timespec="seconds"), moment(at), ago(at)
    )


@register.filter
def clock_time(seconds: float) -> str:
    """A position in a video, from seconds: 0:07.50."""
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:05.2f}"


@register.filter
def event_words(kind: str) -> str:
    return str(EventKind(kind).label) if kind in EventKind.values else kind


_EVENT_ICONS = {
    "ingested": "download",
    "predicted": "bot",
    "prediction_failed": "circle-alert",
    "retried": "rotate-ccw",
    "assigned": "user",
    "released": "clock",
    "skipped": "skip-forward",
    "escalated": "flag",
    "reviewed": "check",
    "undone": "undo-2",
    "taken_back": "undo-2",
    "reported": "flag",
    "reopened": "rotate-ccw",
    "gold_settled": "scale",
    "gold_withdrawn": "undo-2",
    "snapshot_created": "save",
    "exported": "download",
    "withdrawn": "x",
}


@register.filter
def event_icon(kind: str) -> str:
    return _EVENT_ICONS.get(kind, "circle")


@register.filter
def counted(number: int) -> str | int:
    """Show a count; above COUNTED_UP_TO, show "over" and that limit."""
    return number if number <= COUNTED_UP_TO else _("over %(most)s") % {"most": COUNTED_UP_TO}


@register.simple_tag
def csrf_cookie() -> str:
    """The name of the cookie with the token that scripts send."""
    return settings.CSRF_COOKIE_NAME
