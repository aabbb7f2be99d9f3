"""The charts of a run's page by kind of run, with the labels for chart, table and CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop as _

from training.progress.metrics_file import finite


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart. `colour` is 1 to 4 of the chart palette."""

    field: str  # in metrics.jsonl
    words: str
    colour: int = 1


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `unit` is the axis title, `low` and `high` are fixed axis limits, `about` explains the figure."""

    key: str
    title: str
    series: tuple[Series, ...]
    unit: str = ""
    low: float | None = None
    high: float | None = None
    about: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(series.field for series in self.series)


LEARNING_RATE = Chart("lr", _("Learning rate"), (Series("lr", _("learning rate")),))
GRADIENT = Chart(
    "grad_norm", _("Gradient norm"), (Series("grad_norm", _("gradient norm")),), about=_("before clipping")
)
SPEED = Chart("speed", _("Speed"), (Series("tokens_per_s", _("tokens per second")),), _("tokens/s"), 0)
PASS_RATE = Chart("pass_rate", _("Pass rate"), (Series("pass_rate", _("right completions")),), _("share"), 0, 1)
PARSE_FAILURES = Chart(
    "parse_failures", _("Parse failures"), (Series("parse_failure_rate", _("did not parse")),), _("share"), 0
)
ROLLOUT_SPEED = Chart(
    "rollout_speed", _("Rollouts per second"), (Series("rollouts_per_s", _("rollouts per second")),), _("rollouts/s"), 0
)

CHARTS: Mapping[str, tuple[Chart, ...]] = {
    "sft": (
        Chart("loss", _("Training loss"), (Series("loss", _("loss")),), about=_("mean over completion tokens")),
        LEARNING_RATE,
        GRADIENT,
        SPEED,
    ),
    "mine": (
        PASS_RATE,
        PARSE_FAILURES,
        Chart("length", _("Completion length"), (Series("completion_tokens", _("mean")),), _("tokens"), 0),
        ROLLOUT_SPEED,
        Chart(
            "reused",
            _("Reused rollouts"),
            (Series("reused", _("not drawn again")),),
            about=_("drawn before by the same version"),
        ),
    ),
    "grpo": (
        Chart(
            "reward",
            _("Reward"),
            (Series("reward", _("mean")), Series("reward_std", _("spread"), 2)),
            about=_("mean, and spread within groups"),
        ),
        Chart(
            "parts",
            _("Parts of the reward"),
            (
                Series("reward_accuracy", _("accuracy")),
                Series("reward_format", _("format"), 2),
                Series("reward_length", _("length term"), 3),
            ),
        ),
        PASS_RATE,
        Chart(
            "length",
            _("Completion length"),
            (Series("completion_tokens", _("mean")), Series("completion_tokens_max", _("longest"), 2)),
            _("tokens"),
            0,
        ),
        PARSE_FAILURES,
        Chart(
            "clip_range",
            _("Current clip range"),
            (Series("clip_high", _("high")), Series("clip_low", _("low"), 2)),
            _("ratio − 1"),
            0,
        ),
        Chart("clip_fraction", _("Clip fraction"), (Series("clip_fraction", _("clipped tokens")),), _("share"), 0),
        Chart(
            "groups",
            _("Groups with nothing to compare"),
            (
                Series("saturated_right", _("all right")),
                Series("saturated_wrong", _("all wrong"), 2),
                Series("zero_advantage_groups", _("no advantage"), 3),
            ),
            _("share"),
            0,
            1,
        ),
        Chart(
            "dominance",
            _("Largest share of one completion in its group's variance"),
            (Series("advantage_max_share", _("mean over groups")),),
            _("share"),
            0,
            1,
        ),
        Chart("entropy", _("Entropy"), (Series("entropy", _("entropy")),), _("nats per token"), 0),
        Chart("loss", _("Loss"), (Series("loss", _("loss")),)),
        LEARNING_RATE,
        GRADIENT,
        ROLLOUT_SPEED,
    ),
    "dpo": (
        Chart(
            "loss",
            _("Training loss"),
            (
                Series("loss", _("whole")),
                Series("dpo_loss", _("preference"), 2),
                Series("sft_loss", _("likelihood"), 3),
            ),
        ),
        Chart("margin", _("Margin"), (Series("margin", _("right over wrong")),), about=_("of the implicit rewards")),
        Chart("accuracy", _("Preference accuracy"), (Series("accuracy", _("right preferred")),), _("share"), 0, 1),
        LEARNING_RATE,
        GRADIENT,
    ),
}


def charts_of(kind: str) -> tuple[Chart, ...]:
    return CHARTS.get(kind, CHARTS["sft"])


def chart_named(kind: str, key: str) -> Chart | None:
    return next((chart for chart in charts_of(kind) if chart.key == key), None)


def fields_of(kind: str) -> tuple[str, ...]:
    """The fields that the page of this kind needs from each line, starting with the step."""
    return ("step", *dict.fromkeys(field for chart in charts_of(kind) for field in chart.fields))


def rows_of(kind: str, lines: Sequence[Mapping[str, Any]]) -> list[list[float | int | None]]:
    """The values of `fields_of(kind)` for each line, None where missing."""
    names = fields_of(kind)
    return [[finite(line.get(name)) for name in names] for line in lines]
