"""Each hazard on figures that show it, and on figures that come near and do not."""

import math
from typing import Any

import pytest

from training.progress.hazards import FEWEST, hazards

HEALTHY = {
    "loss": 0.1,
    "completion_tokens": 100.0,
    "pass_rate": 0.5,
    "reward_accuracy": 0.6,
    "parse_failure_rate": 0.02,
    "zero_advantage_groups": 0.3,
    "saturated_right": 0.2,
    "saturated_wrong": 0.1,
    "advantage_max_share": 0.4,
    "clip_low": 0.2,
    "clip_high": 0.2,
    "clip_fraction": 0.01,
}


def lines(count: int = 20, **fields: Any) -> list[dict[str, Any]]:
    """`count` healthy lines; a pair (first, last) runs evenly from the one to the other."""

    def value(given: Any, number: int) -> Any:
        return given[0] + (given[1] - given[0]) * number / (count - 1) if isinstance(given, tuple) else given

    return [
        {"step": number + 1, **HEALTHY, **{name: value(given, number) for name, given in fields.items()}}
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"completion_tokens": (100, 200)}, ["longer_not_better"]),
        ({"completion_tokens": (100, 200), "pass_rate": (0.7, 0.3)}, ["longer_not_better"]),
        ({"completion_tokens": (100, 200), "pass_rate": (0.5, 0.7)}, []),
        ({"completion_tokens": (100, 115)}, []),
        ({"completion_tokens": (200, 100)}, []),
        ({"advantage_max_share": 0.9}, ["one_row_dominates"]),
        ({"advantage_max_share": 0.79}, []),
        ({"saturated_right": 0.9, "saturated_wrong": 0.0}, ["all_saturated"]),
        ({"saturated_right": 0.0, "saturated_wrong": 0.9}, ["all_saturated"]),
        ({"saturated_right": 0.45, "saturated_wrong": 0.4}, ["all_saturated"]),
        ({"zero_advantage_groups": 0.95}, ["all_saturated"]),
        ({"saturated_right": 0.4, "saturated_wrong": 0.35}, []),
        ({"parse_failure_rate": (0.0, 0.3)}, ["parse_failures_rise"]),
        ({"parse_failure_rate": 0.3}, []),
        ({"parse_failure_rate": (0.0, 0.08)}, []),
        ({"clip_high": (0.2, 0.1), "clip_fraction": 0.0}, ["clipping_idle"]),
        ({"clip_high": (0.2, 0.1), "clip_fraction": 0.001}, []),
        ({"clip_high": 0.2, "clip_fraction": 0.0}, []),
        ({"clip_high": 0.001, "clip_fraction": 0.7}, ["clip_range_closed"]),
        ({"clip_high": 0.001, "clip_fraction": 0.1}, []),
        ({"loss": math.nan}, ["not_finite"]),
        ({"grad_norm": math.inf}, ["not_finite"]),
    ],
)
def test_hazards_are_shown_where_the_figures_show_them(fields: dict[str, Any], expected: list[str]) -> None:
    assert [hazard.key for hazard in hazards(lines(**fields))] == expected


def test_a_young_run_shows_none() -> None:
    assert hazards(lines(FEWEST - 1, advantage_max_share=1.0, saturated_right=1.0)) == []


def test_only_the_newest_lines_count() -> None:
    assert hazards(lines(100, saturated_right=0.9) + lines(60)) == []


def test_lines_of_other_kinds_of_runs_show_none() -> None:
    assert hazards([{"step": step, "loss": 1 / step, "lr": 1e-4} for step in range(1, 40)]) == []


def test_all_right_and_all_wrong_are_advised_differently() -> None:
    [right], [wrong] = hazards(lines(saturated_right=0.9)), hazards(lines(saturated_right=0.0, saturated_wrong=0.9))
    assert "has learned" in right.advice and "Fine-tune" in wrong.advice


def test_length_bought_in_all_wrong_groups_is_named() -> None:
    [hazard] = hazards(lines(completion_tokens=(100, 200), saturated_wrong=0.4))
    assert "100" not in hazard.advice and "40 % of the groups are all wrong" in hazard.shows
