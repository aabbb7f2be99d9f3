"""Detect silent training failures from the last lines of metrics.jsonl.

A hazard is only a warning: it states what the figures show and what to try.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

# Lines for a trend, which compares the first half with the second.
WINDOW = 40
# Lines for a level.
RECENT = 10
FEWEST = 6  # fewer lines are inconclusive

# Completions count as longer when their length grew by this factor.
LONGER = 1.2
# A smaller change of the pass rate counts as none.
FLAT = 0.02
# Mean share of a group's variance that its largest row has; one against all others in a group of 8 gives 0.875.
DOMINATED = 0.8
SATURATED = 0.8  # mean share of groups without a difference
PARSE_RISE, PARSE_LEVEL = 0.05, 0.1
CLIP_SHRUNK = 0.9  # the current range relative to the first
CLIP_CLOSED = 0.005
MOSTLY_CLIPPED = 0.5

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hazard:
    key: str
    title: str
    shows: str  # the figures
    advice: str  # what to try


def hazards(lines: Sequence[Line]) -> list[Hazard]:
    """The hazards in the newest lines of a run, most severe first. `lines` has one line per step, in order."""
    return [found for check in CHECKS if (found := check(lines[-WINDOW:])) is not None]


def not_finite(lines: Sequence[Line]) -> Hazard | None:
    broken = next(
        (
            line
            for line in lines
            for name in ("loss", "grad_norm")
            if isinstance(line.get(name), float) and not math.isfinite(line[name])
        ),
        None,
    )
    if broken is None:
        return None
    return Hazard(
        "not_finite",
        _("Loss or gradient is not a number"),
        _("First seen at step %(step)s.") % {"step": broken.get("step")},
        _("Nothing is learned any more. Cancel, then run again with a lower learning rate or max_grad_norm."),
    )


def all_saturated(lines: Sequence[Line]) -> Hazard | None:
    right, wrong = _level(lines, "saturated_right"), _level(lines, "saturated_wrong")
    equal = _level(lines, "zero_advantage_groups")
    if max((right or 0) + (wrong or 0), equal or 0) < SATURATED:
        return None
    shows = _("Groups that are all right: %(right)s, all wrong: %(wrong)s, without any advantage: %(equal)s.") % {
        "right": _percent(right),
        "wrong": _percent(wrong),
        "equal": _percent(equal),
    }
    if (right or 0) >= (wrong or 0):
        advice = _(
            "The guard has learned these rows. Stop here, or mine again from this checkpoint and keep mixed rows only."
        )
    else:
        advice = _(
            "No completion earns anything. Fine-tune on these rows first, or mine with more rollouts and keep "
            "mixed rows only."
        )
    return Hazard("all_saturated", _("Almost no group has anything to compare"), shows, advice)


def longer_not_better(lines: Sequence[Line]) -> Hazard | None:
    length, accuracy = (
        _trend(lines, "completion_tokens"),
        _trend(lines, "pass_rate") or _trend(lines, "reward_accuracy"),
    )
    if length is None or accuracy is None or length[1] < LONGER * length[0] or accuracy[1] - accuracy[0] >= FLAT:
        return None
    wrong = _level(lines, "saturated_wrong")
    why = (
        " "
        + _("%(share)s of the groups are all wrong: for these, an exploration reward pays only for length.")
        % {"share": _percent(wrong)}
        if wrong
        else ""
    )
    return Hazard(
        "longer_not_better",
        _("Completions grow, accuracy does not"),
        _("Length went from %(before)s to %(now)s tokens, the pass rate from %(rate_before)s to %(rate_now)s.")
        % {
            "before": f"{length[0]:.0f}",
            "now": f"{length[1]:.0f}",
            "rate_before": f"{accuracy[0]:.2f}",
            "rate_now": f"{accuracy[1]:.2f}",
        }
        + why,
        _(
            "Read some rollouts. Then use a reward that penalises length (omni-v2), leave all-wrong rows out, or "
            "lower max_new_tokens."
        ),
    )


def one_row_dominates(lines: Sequence[Line]) -> Hazard | None:
    share = _level(lines, "advantage_max_share")
    if share is None or share < DOMINATED:
        return None
    return Hazard(
        "one_row_dominates",
        _("One completion decides its whole group"),
        _("On average one completion holds %(share)s of its group's spread.") % {"share": _percent(share)},
        _(
            "With vl one short failure can outweigh all others: use vl-eco, or a reward without that scale. "
            "With other rewards "
            "nearly every group has a single odd completion: sample larger groups, or mine harder rows."
        ),
    )


def parse_failures_rise(lines: Sequence[Line]) -> Hazard | None:
    failures = _trend(lines, "parse_failure_rate")
    if failures is None or failures[1] - failures[0] < PARSE_RISE or failures[1] < PARSE_LEVEL:
        return None
    return Hazard(
        "parse_failures_rise",
        _("More completions do not parse"),
        _("They went from %(before)s to %(now)s.") % {"before": _percent(failures[0]), "now": _percent(failures[1])},
        _(
            "Look at the longest rollouts: a completion that is cut off cannot parse. Raise max_new_tokens, or "
            "lower the learning rate."
        ),
    )


def clipping_idle(lines: Sequence[Line]) -> Hazard | None:
    """Dynamic clipping shrinks the range but clips nothing: each batch is used once, so the ratio is 1."""
    ranges = _numbers(lines, "clip_high")
    if (
        len(ranges) < FEWEST
        or ranges[-1] > CLIP_SHRUNK * ranges[0]
        or max(_numbers(lines, "clip_fraction"), default=1.0) > 0
    ):
        return None
    return Hazard(
        "clipping_idle",
        _("Dynamic clipping does nothing here"),
        _("The range fell from %(before)s to %(now)s, and not one token was clipped.")
        % {"before": f"{ranges[0]:.3f}", "now": f"{ranges[-1]:.3f}"},
        _(
            "Each rollout batch is used for one update, so the ratio stays 1. Set num_iterations above 1, or "
            "update_batch below "
            "prompts_per_batch × group_size."
        ),
    )


def clip_range_closed(lines: Sequence[Line]) -> Hazard | None:
    in_force, clipped = _level(lines, "clip_high"), _level(lines, "clip_fraction")
    if in_force is None or clipped is None or in_force > CLIP_CLOSED or clipped < MOSTLY_CLIPPED:
        return None
    return Hazard(
        "clip_range_closed",
        _("The clip range has closed"),
        _("It is %(range)s, and %(clipped)s of the tokens are clipped: hardly anything is learned from here on.")
        % {"range": f"{in_force:.4f}", "clipped": _percent(clipped)},
        _(
            "Set a clip_floor, or clip_schedule = linear; the product schedule is near zero for the last 70% of "
            "a long run."
        ),
    )


CHECKS: tuple[Callable[[Sequence[Line]], Hazard | None], ...] = (
    not_finite,
    all_saturated,
    longer_not_better,
    one_row_dominates,
    parse_failures_rise,
    clipping_idle,
    clip_range_closed,
)


def _numbers(lines: Sequence[Line], name: str) -> list[float]:
    return [
        float(line[name]) for line in lines if isinstance(line.get(name), int | float) and math.isfinite(line[name])
    ]


def _level(lines: Sequence[Line], name: str) -> float | None:
    """The mean of the last RECENT lines; None if there are too few."""
    values = _numbers(lines, name)
    return sum(values[-RECENT:]) / len(values[-RECENT:]) if len(values) >= FEWEST else None


def _trend(lines: Sequence[Line], name: str) -> tuple[float, float] | None:
    """The means of the first and second half; None if there are too few lines."""
    values = _numbers(lines, name)
    if len(values) < FEWEST:
        return None
    half = len(values) // 2
    return sum(values[:half]) / half, sum(values[half:]) / (len(values) - half)


def _percent(share: float | None) -> str:
    return _("unknown") if share is None else f"{share * 100:.0f} %"
