"""Which figures of metrics.jsonl a run's page draws, by kind of run. The words stand here once, for chart, table and CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.metrics import finite


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart. `colour`: 1 to 4 of the charts' colours."""

    field: str  # in metrics.jsonl
    words: str
    colour: int = 1


@dataclass(frozen=True, slots=True)
class Chart:
    """`unit` is the axis' title. `low` and `high` are the axis' ends, where it has any of its own. `about` says how to read it."""

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


LEARNING_RATE = Chart("lr", "Learning rate", (Series("lr", "learning rate"),))
GRADIENT = Chart("grad_norm", "Gradient norm", (Series("grad_norm", "gradient norm"),), about="before it is cut")
SPEED = Chart("speed", "Speed", (Series("tokens_per_s", "tokens a second"),), "tokens/s", 0)
PASS_RATE = Chart("pass_rate", "Pass rate", (Series("pass_rate", "right completions"),), "share", 0, 1)
PARSE_FAILURES = Chart("parse_failures", "Parse failures", (Series("parse_failure_rate", "did not parse"),), "share", 0)
ROLLOUT_SPEED = Chart("rollout_speed", "Rollouts a second", (Series("rollouts_per_s", "rollouts a second"),), "rollouts/s", 0)

CHARTS: Mapping[str, tuple[Chart, ...]] = {
    "sft": (
        Chart("loss", "Training loss", (Series("loss", "loss"),), about="mean over completion tokens"),
        LEARNING_RATE, GRADIENT, SPEED,
    ),
    "mine": (
        PASS_RATE, PARSE_FAILURES,
        Chart("length", "Completion length", (Series("completion_tokens", "mean"),), "tokens", 0),
        ROLLOUT_SPEED,
        Chart("reused", "Rollouts used again", (Series("reused", "not drawn again"),), about="drawn before by the same version"),
    ),
    "grpo": (
        Chart("reward", "Reward", (Series("reward", "mean"), Series("reward_std", "spread", 2)), about="mean, and spread inside groups"),
        Chart("parts", "Parts of the reward", (Series("reward_accuracy", "accuracy"), Series("reward_format", "format", 2),
                                               Series("reward_length", "length term", 3))),
        PASS_RATE,
        Chart("length", "Completion length", (Series("completion_tokens", "mean"), Series("completion_tokens_max", "longest", 2)),
              "tokens", 0),
        PARSE_FAILURES,
        Chart("clip_range", "Clip range in force", (Series("clip_high", "high"), Series("clip_low", "low", 2)), "ratio − 1", 0),
        Chart("clip_fraction", "Clip fraction", (Series("clip_fraction", "clipped tokens"),), "share", 0),
        Chart("groups", "Groups with nothing to compare",
              (Series("saturated_right", "all right"), Series("saturated_wrong", "all wrong", 2),
               Series("zero_advantage_groups", "no advantage", 3)), "share", 0, 1),
        Chart("dominance", "Largest completion's part of its group's spread", (Series("advantage_max_share", "mean over groups"),),
              "share", 0, 1),
        Chart("entropy", "Entropy", (Series("entropy", "entropy"),), "nats a token", 0),
        Chart("loss", "Loss", (Series("loss", "loss"),)),
        LEARNING_RATE, GRADIENT, ROLLOUT_SPEED,
    ),
    "dpo": (
        Chart("loss", "Training loss", (Series("loss", "whole"), Series("dpo_loss", "preference", 2), Series("sft_loss", "likelihood", 3))),
        Chart("margin", "Margin", (Series("margin", "right over wrong"),), about="of the implicit rewards"),
        Chart("accuracy", "Pairs told apart", (Series("accuracy", "right preferred"),), "share", 0, 1),
        LEARNING_RATE, GRADIENT,
    ),
}


def charts_of(kind: str) -> tuple[Chart, ...]:
    return CHARTS.get(kind, CHARTS["sft"])


def chart_named(kind: str, key: str) -> Chart | None:
    return next((chart for chart in charts_of(kind) if chart.key == key), None)


def fields_of(kind: str) -> tuple[str, ...]:
    """What a page of this kind asks of each line; the step first."""
    return ("step", *dict.fromkeys(field for chart in charts_of(kind) for field in chart.fields))


def rows_of(kind: str, lines: Sequence[Mapping[str, Any]]) -> list[list[float | int | None]]:
    """Of each line the figures of `fields_of(kind)`, None where it has none."""
    names = fields_of(kind)
    return [[finite(line.get(name)) for name in names] for line in lines]
