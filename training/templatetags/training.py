"""Template filters for training's figures."""

from collections.abc import Mapping

from django import template
from django.utils.translation import gettext as _

from training.plan import duration
from training.recipes.units import STAGES

register = template.Library()


@register.filter
def figure_of(figures: Mapping[str, float | int | None] | None, name: str) -> str:
    """One figure of a logged step; "" if missing."""
    return figure((figures or {}).get(name))


@register.filter
def figure(value: float | int | None) -> str:
    """Format with three significant digits: 0.125, 1234, 2.0e-06. static/js/charts/run-figures.js does the same."""
    if value is None:
        return ""
    size = abs(value)
    if value == int(value) and size < 1e9:
        return str(int(value))
    if size < 0.001:
        return f"{value:.1e}"
    return f"{value:.0f}" if size >= 1000 else f"{value:.3g}"


@register.filter
def about_time(seconds: float | None) -> str:
    """A planned stage's time: "about 12 min" or "not known"."""
    return duration(seconds)


@register.filter
def stage_words(kind: str) -> str:
    return _(STAGES[kind])
