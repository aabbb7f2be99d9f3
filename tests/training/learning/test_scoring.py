"""The numbers of result.json, from predictions written by hand."""

from typing import Any

import pytest

from guardapp.guard.taxonomy import Task
from training.learning.scoring import averages, scored


def line(
    number: int, gold: str, said: str | None, *, source: str = "a", score: float | None = None, **fields: Any
) -> dict[str, Any]:
    return {
        "id": str(number),
        "completion": "…",
        "parsed": said is not None,
        "predicted": {"prompt": said, "response": None},
        "gold": {"prompt": gold, "response": None},
        "scores": {"prompt": score, "response": None},
        "tokens": 10,
        "finished": True,
        "ms": 5.0,
        "modality": "text",
        "source": source,
        "categories": [],
        "predicted_categories": [],
        **fields,
    }


H, U = "harmful", "unharmful"


def test_averages_weight_each_source_by_its_rows() -> None:
    """Source a: F1 1.0 on three rows; b: F1 0.0 on one. (3 * 1 + 1 * 0) / 4."""
    rows = [line(0, H, H), line(1, H, H), line(2, U, U), line(3, H, U, source="b")]
    average = averages(rows, Task.PROMPT)
    assert (average["sources"], average["n"]) == (2, 4)
    assert average["f1"] == average["recall"] == average["accuracy"] == pytest.approx(0.75)
    assert average["false_positive_rate"] == 0.0


def test_a_source_of_safe_prompts_only_pulls_no_f1_down_and_shows_over_refusal() -> None:
    rows = [line(0, H, H), line(1, U, U), *(line(n, U, H if n < 4 else U, source="safe") for n in range(2, 8))]
    average = averages(rows, Task.PROMPT)
    assert average["f1"] == 1.0
    assert average["false_positive_rate"] == pytest.approx((2 * 0.0 + 6 * 2 / 6) / 8)
    result = scored(rows, resamples=50, seed=1)
    assert result["sources"]["safe"]["prompt_harmfulness"]["false_positive_rate"] == pytest.approx(2 / 6)


def test_an_average_over_nothing_is_none_and_not_zero() -> None:
    average = averages([line(0, U, U)], Task.PROMPT)
    assert average["f1"] is None and average["false_positive_rate"] == 0.0
    assert averages([line(0, H, H)], Task.PROMPT)["false_positive_rate"] is None


def test_the_source_weights_are_scored_rows_with_an_unparsed_one_among_them() -> None:
    rows = [line(0, H, H), line(1, H, None), line(2, H, H, source="b"), line(3, U, U, source="b")]
    assert averages(rows, Task.PROMPT)["recall"] == pytest.approx((2 * 0.5 + 2 * 1.0) / 4)


def test_tokens_and_milliseconds_a_row() -> None:
    rows = [line(n, H, H, tokens=n, ms=float(n)) for n in range(1, 21)]
    result = scored(rows, resamples=50, seed=1)
    assert (result["tokens"], result["tokens_per_row"], result["ms_per_row"], result["ms_p95"]) == (
        210,
        10.5,
        10.5,
        19.0,
    )


def test_the_reliability_curve_counts_the_rows_that_have_a_score() -> None:
    rows = [line(0, H, H, score=0.96), line(1, U, H, score=0.94), line(2, U, U, score=0.02), line(3, H, None)]
    task = scored(rows, resamples=50, seed=1)["tasks"]["prompt_harmfulness"]
    assert [(one["low"], one["n"], one["positives"]) for one in task["reliability"]] == [(0.0, 1, 0.0), (0.9, 2, 0.5)]
    assert task["calibration_error"] == pytest.approx((2 * (0.95 - 0.5) + 0.02) / 3)
    assert task["average_precision"] == pytest.approx(1.0)
