"""Links from a reasoning step to its evidence: a frame, a region of a frame, or a span of the prompt or response."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotation.errors import DecisionNotValid
from annotation.models import Item, Prediction

FRAME, REGION, SPAN = "frame", "region", "span"
FIELDS_OF_KIND = {
    FRAME: {"medium", "index"},
    REGION: {"medium", "index", "x", "y", "w", "h"},
    SPAN: {"field", "start", "end"},
}
MOST_LINKS = 20  # per step


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a piece of evidence. `kind` determines which fields are set.

    frame: `medium` (0 is the item's first) and `index` of one of the frames that the guard saw (0 for an image).
    region: the fields of a frame, and a box in percent of the frame's width and height.
    span: characters [start, end) of the prompt or response.
    """

    kind: str
    medium: int | None = None
    index: int | None = None
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    field: str | None = None
    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, value: Any) -> "Link":
        """Parse a link from JSON. Raises DecisionNotValid."""
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if (
            not isinstance(value, Mapping)
            or not isinstance(kind, str)
            or set(value) - {"kind"} != FIELDS_OF_KIND.get(kind, set())
        ):
            shapes = "; ".join(f"{name}: {', '.join(sorted(wanted))}" for name, wanted in FIELDS_OF_KIND.items())
            raise DecisionNotValid(
                "steps",
                _("have a link that cannot be read. Beside its kind a link has %(shapes)s.") % {"shapes": shapes},
            )
        for name in set(value) - {"kind", "field"}:
            whole = name not in ("x", "y", "w", "h")
            if isinstance(value[name], bool) or not isinstance(value[name], int if whole else int | float):
                words = (
                    _("have a link whose %(name)s is not a whole number.")
                    if whole
                    else _("have a link whose %(name)s is not a number.")
                )
                raise DecisionNotValid("steps", words % {"name": name})
        return cls(**value)

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def check_link(link: Link, item: Item, prediction: Prediction | None) -> None:
    """Raises DecisionNotValid if the target of the link does not exist."""
    if link.kind == SPAN:
        text = {"prompt": item.prompt, "response": item.response}.get(link.field or "")
        if text is None or link.start is None or link.end is None or not 0 <= link.start < link.end <= len(text):
            raise DecisionNotValid("steps", _("have a link to words that are not in the prompt or the response."))
        return
    seen = list(prediction.media_seen) if prediction is not None else []
    if (
        link.medium is None
        or link.index is None
        or not 0 <= link.medium < len(seen)
        or not (0 <= link.index < len(seen[link.medium]["timestamps"]))
    ):
        raise DecisionNotValid("steps", _("have a link to a frame that the guard did not see."))
    if link.kind == REGION and not _inside(link):
        raise DecisionNotValid(
            "steps", _("have a link to a region outside its frame: give percent of width and height.")
        )


def _inside(link: Link) -> bool:
    x, y, w, h = (side or 0.0 for side in (link.x, link.y, link.w, link.h))
    return x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 100.0001 and y + h <= 100.0001
